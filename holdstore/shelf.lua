-- Reads what is on shelves: packed records of released messages, of which many share a hash; shelf.go has the form.
--
-- KEYS: none
-- ARGV: none
-- Returns: nothing; defines numberAt, base64, momentOf, opened, endOf and shelfFront
local KINDS = 'mqrs' -- of index entries, in two bytes with their numbers
-- numberAt reads a varint; what it returns second is where the next thing begins.
local function numberAt(text, at)
  local n, factor = 0, 1
  for after = at + 1, at + 10 do -- Go reads no longer one
    local byte = string.byte(text, after - 1)
    n, factor = n + byte % 128 * factor, factor * 128
    if byte < 128 then return n, after end
  end
  error('a number that is too long')
end
local SIX_BITS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'
-- base64 is a digest as text; it has a multiple of three bytes.
local function base64(digest)
  return (string.gsub(digest, '...', function(three)
    local n, text = struct.unpack('>I3', three), ''
    for _ = 1, 4 do
      text, n = string.sub(SIX_BITS, n % 64 + 1, n % 64 + 1) .. text, math.floor(n / 64)
    end
    return text
  end))
end
-- momentOf is the moment that an ID says, in ms.
local function momentOf(id)
  local ms = 0
  for i = 1, 8 do ms = ms * 31 + string.find('23456789ABCDEFGHJKMNPQRSTUVWXYZ', string.sub(id, i, i), 1, true) - 1 end
  return EPOCH + ms
end
-- endOf is when a record ends, in ms; what can't be read has ended.
local function endOf(value) return #value > 12 and struct.unpack('>I6', value) or 0 end
-- shelfFront is what a record on a shelf begins with: when it ends, and when its message was released.
local function shelfFront(ends, released) return struct.pack('>I6I6', ends, released) end
-- opened is a record on a shelf as its hash would have it: the parts of p, state, x and o. It fails where offShelf in
-- shelf.go does: what apart in lib.lua can't read from a hash is not read from a shelf. A script would loop over a
-- wrong number of pieces for years.
local function opened(id, value)
  local ends, released, at = struct.unpack('>I6I6', value)
  local n = {}
  for i = 1, 6 do n[i], at = numberAt(value, at) end
  local late = n[1] % 2 == 0 and n[1] / 2 or -(n[1] + 1) / 2
  local held = momentOf(id) + late
  local function text(size)
    at = at + size
    return string.sub(value, at - size, at - 1)
  end
  local nonce = text(n[6])
  local wide, long = math.max(held, n[2], n[3]), math.max(n[4], n[5])
  if held < 0 or wide >= 1e15 or long >= 1e6 or not string.find(nonce, '^%w+$') then
    error('numbers that no record has')
  end
  local o = {held_at = string.format('%d', held), due = string.format('%d', held + n[2]), state = 'released', meta = '',
    grace = string.format('%d', n[2]), size = string.format('%d', n[3]), nrcpt = string.format('%d', n[4]),
    chunks = string.format('%d', n[5]), nonce = nonce, ends = ends}
  local count, owner, cost
  count, at = numberAt(value, at)
  local entries = {}
  for i = 1, count do
    local entry = struct.unpack('>I2', text(2))
    local kind = math.floor(entry / 8192) + 1
    if kind > #KINDS then error('an index entry of no kind') end
    entries[i] = string.sub(KINDS, kind, kind) .. entry % 8192
  end
  o.ix = table.concat(entries, ' ')
  count, at = numberAt(value, at)
  owner = text(count)
  if count > 0 then
    cost, at = numberAt(value, at)
    if #owner ~= 10 and #owner ~= 19 or cost >= 1e15 then error('no owner') end
    owner = string.sub(owner, 1, 1) .. base64(string.sub(owner, 2, 10)) ..
      (#owner > 10 and '@' .. base64(string.sub(owner, 11)) or '')
    o.o = owner .. ' - ' .. string.format('%d', cost)
  end
  o.x = string.format('%d', released) .. ' ' .. string.sub(value, at)
  return o
end
