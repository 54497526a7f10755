-- addJob adds a job; false: it is known, done or not.
--
-- KEYS: as lib
-- ARGV: none
-- Returns: nothing; defines addJob
local function addJob(id, kind, data, due)
  if redis.call('EXISTS', P .. 'j:' .. id) == 1 then return false end
  redis.call('HSET', P .. 'j:' .. id, 'kind', kind, 'data', data, 'since', int(now))
  dueAt(id, due)
  if due <= now then redis.call('PUBLISH', P .. 'wake', int(due)) end
  return true
end
