-- Where jobs wait: see the comment in jobs.go. park keeps a job behind all that are ever due.
--
-- KEYS: as lib
-- ARGV: none
-- Returns: nothing; defines functions
local function lane(id)
  local way, asker = string.match(id, '^(%l%l):([^:]*):')
  if way ~= 'in' and way ~= 'us' and way ~= 'op' then return P .. 'jobs' end
  return P .. 'jobs:' .. way .. ':' .. asker, P .. 'jobs:' .. way, asker
end
-- dueAt says when a job is due.
local function dueAt(id, score)
  local set, turns, asker = lane(id)
  redis.call('ZADD', set, int(score), id)
  if not asker then return end
  local turn = redis.call('ZSCORE', turns, asker)
  local first = math.max(score, now)
  if not turn or tonumber(turn) > first then redis.call('ZADD', turns, int(first), asker) end
end
local function undue(id)
  local set, turns, asker = lane(id)
  redis.call('ZREM', set, id)
  if asker and redis.call('EXISTS', set) == 0 then redis.call('ZREM', turns, asker) end
end
-- park keeps a job of any lane among ours, behind all that are ever due; unpark makes it due.
local function park(id, never)
  undue(id)
  redis.call('ZADD', P .. 'jobs', never, id)
end
local function unpark(id)
  redis.call('ZREM', P .. 'jobs', id)
  dueAt(id, now)
end
local function firstDue(set) return redis.call('ZRANGEBYSCORE', set, '-inf', int(now), 'LIMIT', 0, 1)[1] end
-- inTurn is the job whose asker's turn it is, but for busy ones; way is "in", "us" or "op".
local function inTurn(way, busy)
  local turns = P .. 'jobs:' .. way
  for _, asker in ipairs(redis.call('ZRANGEBYSCORE', turns, '-inf', int(now), 'LIMIT', 0, 50)) do
    local set = turns .. ':' .. asker
    local id = not busy[asker] and firstDue(set)
    if id then
      redis.call('ZADD', turns, int(now), asker)
      return id
    end
    local first = redis.call('ZRANGE', set, 0, 0, 'WITHSCORES')[2]
    if not first then
      redis.call('ZREM', turns, asker)
    elseif tonumber(first) > now then
      redis.call('ZADD', turns, first, asker)
    end
  end
end
