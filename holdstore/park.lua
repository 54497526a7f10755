-- defect counts a defect of a hold or job. It returns the moment for what is parked from now on, or nil.
--
-- KEYS: as lib
-- ARGV: none
-- Returns: nothing; defines defect(key, first line of the defect)
local function defect(key, what)
  if redis.call('HINCRBY', key, 'defects', 1) < PARK_AFTER then return nil end
  redis.call('HSET', key, 'parked', 'a defect of the daemon has ended each attempt: ' .. what)
  return NEVER
end
