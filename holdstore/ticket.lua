-- Takes the tickets of sealed holds away, and puts new ones there.
--
-- KEYS: as lib
-- ARGV: none
-- Returns: nothing; defines hasProof, noTicket and ticket(id, tickets as JSON by hold)
local function hasProof(id) return string.find(redis.call('HGET', P .. 'h:' .. id, 'p') or '', '\n[^\n]*\n') end
local function noTicket(id)
  local key = P .. 'h:' .. id
  local kept = string.match(redis.call('HGET', key, 'p') or '', '^([^\n]*\n[^\n]*\n%S+ %S+) %S+$')
  if kept then redis.call('HSET', key, 'p', kept) end
  redis.call('HDEL', key, 'may')
end
local function ticket(id, mays)
  local may = mays and mays ~= '' and cjson.decode(mays)[id]
  if may then set(id, 'may', may) end
end
