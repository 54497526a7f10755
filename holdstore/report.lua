-- What scripts do with the report on a hold, which is one job however often it is written.
--
-- KEYS: as lib
-- ARGV: none
-- Returns: nothing; defines reportAt and news
-- reportAt makes the report due: LT not later than it was, GT not sooner. Whoever writes one now has not seen what is
-- new: they lose their lease, so that it is written again. data is what the job keeps.
local function reportAt(id, kind, data, due, than)
  local job = 'report:' .. id
  local key = P .. 'j:' .. job
  if redis.call('ZSCORE', P .. 'jobs', job) then
    redis.call('HDEL', key, 'tok')
    redis.call('ZADD', P .. 'jobs', 'XX', than, int(due), job)
  else
    redis.call('HSET', key, 'kind', kind, 'data', data, 'since', int(now), 'attempts', 0)
    redis.call('PERSIST', key)
    redis.call('ZADD', P .. 'jobs', int(due), job)
  end
  if due <= now then redis.call('PUBLISH', P .. 'wake', int(due)) end
end
-- news makes a report due when one has gone out before, or when nobody is left who was asked and has not answered.
local function news(id, kind, data)
  local job = redis.call('HMGET', P .. 'j:report:' .. id, 'done', 'ended', 'gather')
  if job[2] then
    local due = now + (number(job[3]) or 0)
    if (number(job[1]) or 0) > 1 then due = math.max(due, (number(job[2]) or now) + REPORT_PAUSE) end
    return reportAt(id, kind, data, due, 'LT')
  end
  for n = 0, num(id, 'nrcpt') - 1 do
    if result(id, n).o == 'requested' then return end
  end
  reportAt(id, kind, data, now, 'LT')
end
