-- Forgets what is remembered of inbound mail beyond its budget. An entry of a queue is the slot, the name, the
-- subject's key, and behind them the size, when it ends (ms), and the origin, with blanks between.
--
-- KEYS: as lib
-- ARGV: none
-- Returns: nothing; defines pop, expire, and within(bytes of the budget, bytes that are spare, messages)
local count, bytes, early = 0, 0, 0
-- pop forgets the oldest message of a network; what has expired is gone already, its name in the subject is not.
local function pop(network, expired)
  local entry = redis.call('LPOP', P .. 'inq:' .. network)
  if not entry then return redis.call('ZREM', P .. 'inload', network) end
  local slot, name, subject = string.sub(entry, 1, 2), string.sub(entry, 3, 26), string.sub(entry, 27, 38)
  local size, ends, origin = string.match(entry, '^(%d+) (%d+) (%S*)$', 39)
  if not expired then redis.call('HDEL', P .. 'in:m:' .. name, slot) end
  if redis.call('EXISTS', P .. 'in:m:' .. name) == 0 then
    redis.call('ZREM', P .. 'in:t:' .. subject, origin .. name)
  end
  count, bytes = count - 1, bytes - (size or 0)
  local left = redis.call('ZINCRBY', P .. 'inload', '-' .. (size or 0), network)
  if tonumber(left) <= 0 then redis.call('ZREM', P .. 'inload', network) end
end
-- expire forgets what a network has that has ended.
local function expire(network)
  for _ = 1, EXPIRED_LOOKED do
    local entry = redis.call('LINDEX', P .. 'inq:' .. network, 0)
    local ends = entry and string.match(entry, '^%d+ (%d+)', 39)
    if not ends or tonumber(ends) > now then return end
    pop(network, true)
  end
end
-- within forgets until all is within the budget; it returns whether it is.
local function within(room, spare, most)
  for _, network in ipairs(redis.call('ZRANDMEMBER', P .. 'inload', SAMPLED_NETWORKS)) do expire(network) end
  local sum = redis.call('HMGET', P .. 'insum', 'n', 'bytes')
  local n, b = tonumber(sum[1] or 0) or 0, tonumber(sum[2] or 0) or 0
  room = math.min(room, math.max(0, b + bytes + spare))
  local left = GIVE_WAY_MOST
  local function over() return b + bytes > room or n + count > most end
  while left > 0 and over() do
    local largest = redis.call('ZREVRANGE', P .. 'inload', 0, 0)[1]
    if not largest then break end
    pop(largest)
    left, early = left - 1, early + 1
  end
  for field, by in pairs({n = count, bytes = bytes, early = early}) do
    if by ~= 0 then redis.call('HINCRBY', P .. 'insum', field, by) end
  end
  return not over() or left > 0
end
