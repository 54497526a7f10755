-- Writes the result of one mailbox of a claw back, once, and counts its outcome.
--
-- KEYS: as lib
-- ARGV: ID, number of the mailbox, outcome, result, "again" where a result may be replaced, ms that it is kept, verb,
--   by, from, reason, detail for the trail
-- Returns: "ok", or "none" where the claw back is forgotten
local key = P .. 'cb:' .. ARGV[1]
if redis.call('EXISTS', key) == 0 then return 'none' end
local was = redis.call('HGET', key, 'o' .. ARGV[2])
if was and ARGV[5] ~= 'again' then return 'ok' end
redis.call('HSET', key, 'r' .. ARGV[2], ARGV[4], 'o' .. ARGV[2], ARGV[3])
redis.call('HINCRBY', key, 'sum ' .. ARGV[3], 1)
if was then
  redis.call('HINCRBY', key, 'sum ' .. was, -1)
elseif redis.call('HINCRBY', key, 'left', -1) <= 0 then
  redis.call('HSET', key, 'ended', int(now))
end
redis.call('PEXPIRE', key, ARGV[6])
audit(ARGV[1], ARGV[7], ARGV[8], ARGV[9], ARGV[10], ARGV[11])
return 'ok'
