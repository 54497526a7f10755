-- Keeps messages that came in, and then forgets until all is within the budget.
--
-- KEYS: as lib
-- ARGV: as remembered, ms that they are kept, then of each: name, slot, value, digest of sender and subject, origin,
--   network, size, when it came (ms)
-- Returns: the sets of subjects that are too large
local keep, large, seen = tonumber(ARGV[5]), {}, {}
local function stays(key)
  if redis.call('PTTL', key) < keep then redis.call('PEXPIRE', key, int(keep)) end
end
redis.call('HSET', P .. 'insum', 'keep', int(keep))
life = keep
for i = 6, #ARGV, 8 do
  local name, slot, value, subject, origin, network, size, came = unpack(ARGV, i, i + 7)
  local key = received(name)
  -- The first stays: whoever sends another one with that Message-ID, and a lock of their own, changes nothing.
  if redis.call('HSETNX', key, name .. slot, value) == 1 then
    redis.call('RPUSH', P .. 'inq:' .. network, slot .. name .. subject .. struct.pack('>I3I6', size, came) .. origin)
    redis.call('ZINCRBY', P .. 'inload', size, network)
    count, bytes = count + 1, bytes + size
    local set = about(subject)
    redis.call('ZADD', set, came, member(subject, origin, name))
    stays(key)
    stays(set)
    if redis.call('ZCARD', set) > TOO_LARGE and not seen[set] then
      seen[set], large[#large + 1] = true, set
    end
  end
  expire(network)
end
within(tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]))
return large
