-- Writes the result of one mailbox of a claw back, once.
--
-- KEYS: as lib
-- ARGV: ID, number of the mailbox, result, "again" where a result may be replaced, ms that it is kept, verb, by, from,
--   reason, detail for the trail
-- Returns: "ok", or "none" where the claw back is forgotten
local key = P .. 'cb:' .. ARGV[1]
if redis.call('EXISTS', key) == 0 then return 'none' end
local was = redis.call('HEXISTS', key, 'r' .. ARGV[2]) == 1
if was and ARGV[4] ~= 'again' then return 'ok' end
redis.call('HSET', key, 'r' .. ARGV[2], ARGV[3])
if not was and redis.call('HINCRBY', key, 'left', -1) <= 0 then redis.call('HSET', key, 'ended', int(now)) end
redis.call('PEXPIRE', key, ARGV[5])
audit(ARGV[1], ARGV[6], ARGV[7], ARGV[8], ARGV[9], ARGV[10])
return 'ok'
