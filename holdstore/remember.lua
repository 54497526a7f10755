-- Keeps messages that came in, and then forgets until all is within the budget.
--
-- KEYS: as lib
-- ARGV: bytes of the budget, bytes that are spare, messages, ms that they are kept, then of each: name, slot, value,
--   subject's key, origin, network, size, when it came (ms)
-- Returns: the names of the subjects' sets that are too large
local keep, large, seen = ARGV[4], {}, {}
for i = 5, #ARGV, 8 do
  local name, slot, value, subject, origin, network, size, came = unpack(ARGV, i, i + 7)
  local key, set = P .. 'in:m:' .. name, P .. 'in:t:' .. subject
  -- The first stays: whoever sends another one with that Message-ID, and a lock of their own, changes nothing.
  if redis.call('HSETNX', key, slot, value) == 1 then
    if redis.call('PTTL', key) == -1 then redis.call('PEXPIRE', key, keep) end
    local entry = slot .. name .. subject .. size .. ' ' .. int(now + keep) .. ' ' .. origin
    redis.call('RPUSH', P .. 'inq:' .. network, entry)
    redis.call('ZINCRBY', P .. 'inload', size, network)
    count, bytes = count + 1, bytes + size
  end
  redis.call('ZADD', set, came, origin .. name)
  redis.call('PEXPIRE', set, keep)
  if redis.call('ZCARD', set) > TOO_LARGE and not seen[set] then
    seen[set], large[#large + 1] = true, set
  end
  expire(network)
end
within(tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]))
return large
