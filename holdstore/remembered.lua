-- Forgets what is remembered of inbound mail beyond its budget. An entry of a queue is the slot, the name, the digest
-- of sender and subject, and behind them the size (3 bytes), when it came (6 bytes, ms), and the origin.
--
-- KEYS: as lib
-- ARGV: bytes of the budget, bytes that are spare, messages, in how many parts the messages are
-- Returns: nothing; defines pop, expire, within(bytes of the budget, bytes that are spare, messages), and where a
--   message is: received(name), about(digest of sender and subject), and in there member(digest, origin, name)
local count, bytes, early = 0, 0, 0
local life = number(redis.call('HGET', P .. 'insum', 'keep'))
local function part(digest)
  local high, low = string.byte(digest, 1, 2)
  return int((high * 256 + low) % ARGV[4])
end
local function received(name) return P .. 'in:m:' .. part(name) end
local function about(subject) return P .. 'in:t:' .. part(subject) end
local function member(subject, origin, name) return subject .. origin .. string.sub(name, 1, 9) end
-- sizeAndMoment are those of an entry of a queue; nil: it is none.
local function sizeAndMoment(entry)
  if #entry >= 38 then return struct.unpack('>I3I6', entry, 30) end
end
-- pop forgets the oldest message of a network. If another transaction of it came later, its subject still finds that.
local function pop(network)
  local entry = redis.call('LPOP', P .. 'inq:' .. network)
  if not entry then return redis.call('ZREM', P .. 'inload', network) end
  local slot, name, subject = string.sub(entry, 1, 2), string.sub(entry, 3, 20), string.sub(entry, 21, 29)
  local size, came = sizeAndMoment(entry)
  if size then
    redis.call('HDEL', received(name), name .. slot)
    local set, which = about(subject), member(subject, string.sub(entry, 39), name)
    local last = redis.call('ZSCORE', set, which)
    if last and tonumber(last) <= came then redis.call('ZREM', set, which) end
  end
  count, bytes = count - 1, bytes - (size or 0)
  local left = redis.call('ZINCRBY', P .. 'inload', -(size or 0), network)
  if tonumber(left) <= 0 then redis.call('ZREM', P .. 'inload', network) end
end
-- expire forgets what a network has that has ended.
local function expire(network)
  for _ = 1, EXPIRED_LOOKED do
    local entry = redis.call('LINDEX', P .. 'inq:' .. network, 0)
    local _, came = sizeAndMoment(entry or '')
    if not life or not came or came + life > now then return end
    pop(network)
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
