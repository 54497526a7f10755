-- Where jobs wait: see the comment in jobs.go. park keeps a job behind all that are ever due.
--
-- KEYS: as lib
-- ARGV: none
-- Returns: nothing; defines functions
local function lane(id)
  local asker = string.match(id, '^in:([^:]*):')
  return asker and P .. 'jobs:in:' .. asker or P .. 'jobs', asker
end
-- dueAt says when a job is due.
local function dueAt(id, score)
  local set, asker = lane(id)
  redis.call('ZADD', set, int(score), id)
  if not asker then return end
  local turn = redis.call('ZSCORE', P .. 'jobs:in', asker)
  local first = math.max(score, now)
  if not turn or tonumber(turn) > first then redis.call('ZADD', P .. 'jobs:in', int(first), asker) end
end
local function undue(id)
  local set, asker = lane(id)
  redis.call('ZREM', set, id)
  if asker and redis.call('EXISTS', set) == 0 then redis.call('ZREM', P .. 'jobs:in', asker) end
end
-- park keeps a job of either lane among ours, behind all that are ever due; unpark makes it due.
local function park(id, never)
  undue(id)
  redis.call('ZADD', P .. 'jobs', never, id)
end
local function unpark(id)
  redis.call('ZREM', P .. 'jobs', id)
  dueAt(id, now)
end
local function firstDue(set) return redis.call('ZRANGEBYSCORE', set, '-inf', int(now), 'LIMIT', 0, 1)[1] end
-- theirs is the job whose asker's turn it is, but for busy ones.
local function theirs(busy)
  for _, asker in ipairs(redis.call('ZRANGEBYSCORE', P .. 'jobs:in', '-inf', int(now), 'LIMIT', 0, 50)) do
    local set = P .. 'jobs:in:' .. asker
    local id = not busy[asker] and firstDue(set)
    if id then
      redis.call('ZADD', P .. 'jobs:in', int(now), asker)
      return id
    end
    local first = redis.call('ZRANGE', set, 0, 0, 'WITHSCORES')[2]
    if not first then
      redis.call('ZREM', P .. 'jobs:in', asker)
    elseif tonumber(first) > now then
      redis.call('ZADD', P .. 'jobs:in', first, asker)
    end
  end
end
