-- The moves that all scripts share. P is what all names of the shard begin with; times are in ms. What is damaged costs
-- only itself: a key of another type than a command wants is set aside, and the command finds none; a number that can't
-- be read is 0; a hold whose record can't be relied on is parked. damage.go has the idea.
--
-- KEYS: what all names of the shard begin with
-- ARGV: none
-- Returns: nothing; defines functions
local kind = type
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local function int(n) return string.format('%d', n) end
local heal, raw = true, redis -- a check that repairs nothing sets heal to false
-- tell keeps a line for the log of a daemon: Reap gives it to one of them.
local function tell(line)
  local kept = raw.pcall('LLEN', P .. 'damage')
  if kind(kept) == 'number' and kept < DAMAGE_MOST then raw.pcall('RPUSH', P .. 'damage', line) end
end
-- setAside renames a key, so that nothing meets it any more.
local function setAside(key)
  local name, is = string.sub(key, #P + 1), raw.call('TYPE', key).ok
  local to = 'aside:' .. name
  local moved = raw.pcall('RENAMENX', key, P .. to)
  if moved == 0 then
    to = to .. ':' .. int(now)
    moved = raw.pcall('RENAMENX', key, P .. to)
  end
  if moved ~= 1 then return false end
  raw.pcall('ZADD', P .. 'aside', int(now), to)
  tell('key ' .. P .. name .. ' was a ' .. is .. ', which nothing can use there; it was renamed to ' .. P .. to)
  return true
end
-- healed removes what made a command fail, when that was a key of another type, or a counter that is not a number.
local function healed(why, command, key, field)
  if not heal or kind(key) ~= 'string' or string.sub(key, 1, #P) ~= P then return false end
  if string.sub(why, 1, 9) == 'WRONGTYPE' then return setAside(key) end
  if not string.find(why, 'not an integer', 1, true) then return false end
  if command == 'HINCRBY' then return raw.call('HDEL', key, field) == 1 end
  return setAside(key)
end
local redis = {pcall = raw.pcall, sha1hex = raw.sha1hex}
function redis.call(command, key, ...)
  local answer = raw.pcall(command, key, ...)
  if kind(answer) ~= 'table' or not answer.err then return answer end
  if not healed(answer.err, command, key, ...) then error(answer) end
  return raw.call(command, key, ...)
end
-- number reads one, in ms or bytes, or what is counted; nil where that is none.
local function number(text)
  return text and string.find(text, '^%d+$') and #text < 16 and tonumber(text) or nil
end
-- numberOf is an ID as a number, as text: holdid.Number says more.
local DIGITS, RANDOM, MILLION = '23456789ABCDEFGHJKMNPQRSTUVWXYZ', 31 ^ 5, 1000000
local function numberOf(id)
  local part = {0, 0}
  for i = 1, #id do
    local digit = string.find(DIGITS, string.sub(id, i, i), 1, true)
    if not digit then return id end
    local n = i > 8 and 2 or 1
    part[n] = part[n] * 31 + digit - 1
  end
  if #id ~= 13 or part[1] >= NUMBERED then return id end
  local low = part[1] % MILLION * RANDOM + part[2]
  local high = math.floor(part[1] / MILLION) * RANDOM + math.floor(low / MILLION)
  return high == 0 and int(low) or string.format('%d%06d', high, low % MILLION)
end
-- idOf is the opposite of numberOf.
local function idOf(text)
  if not string.find(text, '^%d+$') then return text end
  local high, low = tonumber(string.sub(text, 1, -7)) or 0, tonumber(string.sub(text, -6))
  low = high % RANDOM * MILLION + low
  local part, id = {low % RANDOM, math.floor(high / RANDOM) * MILLION + math.floor(low / RANDOM)}, ''
  for i = 1, 13 do
    local n = i > 5 and 2 or 1
    local digit = part[n] % 31 + 1
    id, part[n] = string.sub(DIGITS, digit, digit) .. id, math.floor(part[n] / 31)
  end
  return id
end
local originals = {}
-- proofOf is the last line of a hold's field p; nil: nothing is sealed.
local function proofOf(p)
  local first = string.find(p, '\n', 1, true)
  local second = first and string.find(p, '\n', first + 1, true)
  return second and string.match(p, '^[^\n]*', second + 1)
end
-- apart is a hold's field p, taken apart; with nothing but its proof when it can't be read.
local function apart(p)
  local o = {proof = proofOf(p)}
  local held, grace, size, nrcpt, nonce, chunks, ix, meta =
    string.match(p, '^(%d+) (%d+) (%d+) (%d+) (%w+) (%d+) ([^\n]*)\n([^\n]*)')
  if not held or #held > 15 or #grace > 15 or #size > 15 or #nrcpt > 6 or #chunks > 6 then return o end
  o.held_at, o.grace, o.size, o.nrcpt, o.nonce, o.chunks = held, grace, size, nrcpt, nonce, chunks
  o.ix, o.meta = ix, meta
  o.state, o.due = 'held', int(held + grace)
  return o
end
-- shelves are where a record can be on a shelf: f gets each key with the field there, until it returns something.
local function shelves(id, f)
  for n = SHELF_SHORTEST, SHELF_LONGEST do
    local found = f(P .. 'r:' .. string.sub(id, 1, n), string.sub(id, n + 1))
    if found then return found end
  end
end
-- shelved is a record on a shelf, opened, with the key and field where it is; nil: it is on none. One that can't be
-- read has nothing but these.
local function shelved(id)
  return shelves(id, function(key, field)
    local value = redis.call('HGET', key, field)
    if not value then return nil end
    local fine, o = pcall(opened, id, value)
    if not fine then o = {} end
    o.key, o.field = key, field
    return o
  end)
end
-- original is apart of what a hold has, or all of a record on a shelf; false where there is none.
local function original(id)
  local o = originals[id]
  if o == nil then
    local p = redis.call('HGET', P .. 'h:' .. id, 'p')
    o = p and apart(p) or shelved(id) or false
    originals[id] = o
  end
  return o
end
local became = {state = true, due = true}
local function get(id, field)
  local o = original(id)
  if o and o.key or o and o[field] and not became[field] then return o[field] end
  return redis.call('HGET', P .. 'h:' .. id, field) or o and o[field]
end
local function num(id, field) return number(get(id, field)) or 0 end
-- write is set for what is on no shelf.
local function write(id, ...) return redis.call('HSET', P .. 'h:' .. id, ...) end
-- nameOf is a shelf's name in the set "ends".
local function nameOf(key) return string.sub(key, #P + 3) end
-- firstEnd is when the first record of a shelf ends, as it is noted; nil: that is not noted.
local function firstEnd(key)
  local ends = redis.call('ZSCORE', P .. 'ends', nameOf(key))
  return ends and tonumber(ends)
end
-- endsFirst notes when the first record of a shelf ends; nil: the shelf is empty.
local function endsFirst(key, ends)
  if ends then redis.call('ZADD', P .. 'ends', int(ends), nameOf(key))
  else redis.call('ZREM', P .. 'ends', nameOf(key)) end
end
-- shelfFor is the shelf for a record that ends at a moment, with its field there; nil: there is no room.
local function shelfFor(id, ends)
  return shelves(id, function(key, field)
    local first = firstEnd(key)
    if first and (ends < first or ends > first + SHELF_SPAN) then return nil end
    if redis.call('HLEN', key) >= SHELF_MOST then return nil end
    return {key = key, field = field, new = not first}
  end)
end
-- shelve puts a packed record on a shelf.
local function shelve(id, shelf, ends, value)
  redis.call('HSET', shelf.key, shelf.field, value)
  if shelf.new then endsFirst(shelf.key, ends) end
  redis.call('DEL', P .. 'h:' .. id)
  originals[id] = nil
end
-- unshelve takes a record off its shelf.
local function unshelve(key, field)
  redis.call('HDEL', key, field)
  if redis.call('EXISTS', key) == 0 then endsFirst(key) end
  if redis.call('INCRBY', P .. 'shelved', -1) < 0 then redis.call('DEL', P .. 'shelved') end
end
-- set writes into a hold. A record on a shelf gets a hash of its own first.
local function set(id, ...)
  local o = original(id)
  if o and o.key then
    if not o.state then error('its record can not be read') end
    unshelve(o.key, o.field)
    originals[id] = nil
    local line = {o.held_at, o.grace, o.size, o.nrcpt, o.nonce, o.chunks, o.ix}
    write(id, 'p', table.concat(line, ' ') .. '\n', 'state', o.state, 'x', o.x)
    if o.o then write(id, 'o', o.o) end
    redis.call('ZADD', P .. 'z:released', int(o.ends), id)
  end
  return write(id, ...)
end
-- move takes the hold out of one state's set and into another's.
local function move(id, from, to, score)
  redis.call('ZREM', P .. 'z:' .. from, id)
  redis.call('ZADD', P .. 'z:' .. to, int(score), id)
  set(id, 'state', to)
end
-- soonest is when the first of all that is held is due.
local function soonest() return tonumber(redis.call('ZRANGE', P .. 'z:held', 0, 0, 'WITHSCORES')[2] or math.huge) end
-- hurry wakes the release loops when due is earlier than everything held; call it before the hold goes in.
local function hurry(due)
  if due < soonest() then redis.call('PUBLISH', P .. 'wake', int(due)) end
end
-- note adds a timeline line; a hold that is retried for days forgets its oldest ones.
local function note(id, event)
  local tl = get(id, 'tl') or ''
  if #tl > 32768 then tl = string.sub(tl, (string.find(tl, '\n', 8192, true) or 0) + 1) end
  set(id, 'tl', tl .. int(now) .. ' ' .. event .. '\n')
end
-- each calls f with the key of every piece of the content.
local function each(id, f)
  local b = P .. 'b:' .. id .. ':' .. (get(id, 'nonce') or '') .. ':'
  for n = 0, num(id, 'chunks') - 1 do f(b .. n) end
end
local function drop(key) redis.call('DEL', key) end
-- aged counts that n holds of an age more (or less) wait.
local function aged(age, n)
  if redis.call('HINCRBY', P .. 'ages', age, n) <= 0 then redis.call('HDEL', P .. 'ages', age) end
end
local function ageAt(moment) return int(math.floor(moment / AGE_STEP)) end
local function ageOf(id) return ageAt(num(id, 'held_at')) end
-- waits counts a hold that is held or releasing from now on, or is not any more.
local function waits(id, yes)
  redis.call('INCRBY', P .. 'bytes', (yes and '' or '-') .. int(num(id, 'size')))
  aged(ageOf(id), yes and 1 or -1)
end
-- group is an owner without the sender behind it.
local function group(owner) return string.match(owner, '^[^@]*') end
-- counts are what field own has of an owner: messages that wait, or whose content is kept; their bytes; bytes of all
-- records. What can't be read is nothing.
local function counts(text)
  local n, bytes, records = string.match(text or '', '^(%d+) (%d+) (%d+)$')
  return number(n) or 0, number(bytes) or 0, number(records) or 0
end
-- own counts something of an owner more (or less).
local function own(who, n, bytes, records)
  local hasN, hasBytes, hasRecords = counts(redis.call('HGET', P .. 'own', who))
  n, bytes, records = math.max(hasN + n, 0), math.max(hasBytes + bytes, 0), math.max(hasRecords + records, 0)
  if n + bytes + records == 0 then redis.call('HDEL', P .. 'own', who) return end
  redis.call('HSET', P .. 'own', who, string.format('%d %d %d', n, bytes, records))
end
-- owe counts messages that wait, for their owner, and for the sender behind it.
local function owe(owner, n, bytes)
  for _, who in ipairs({group(owner), string.match(owner, '.*@.*')}) do own(who, n, bytes, 0) end
end
-- uncharge takes from its owner what a hold had waiting, or all of it.
local function uncharge(id, all)
  local owner, content, record = string.match(get(id, 'o') or '', '^(%S+) (%S+) (%d+)$')
  if not owner then return end
  if content ~= '-' then
    owe(owner, -1, -((number(content) or 0) + record))
    if not all then set(id, 'o', owner .. ' - ' .. record) end
  end
  if all then own(group(owner), 0, 0, -record) end
end
-- recordTime is how long a record is kept: as normal, or least at most when its owner has more records than their part
-- of the store (quota.go).
local function recordTime(owner, normal, least)
  local f = redis.call('HMGET', P .. 'own', 'room', group(owner))
  local room, _, _, has = number(f[1]), counts(f[2])
  return room and has > room and math.min(normal, least) or normal
end
-- there says whether a hold has a record, readable or not.
local function there(id) return redis.call('EXISTS', P .. 'h:' .. id) == 1 or shelved(id) ~= nil end
-- erase removes a record with its index entries, from its shelf as well, and its content unless that stays.
local function erase(id, contentStays)
  if not contentStays then each(id, drop) end
  local n = numberOf(id)
  for e in string.gmatch(get(id, 'ix') or '', '%S+') do redis.call('SREM', P .. 'i:' .. e, n) end
  local o = original(id)
  if o and o.key then unshelve(o.key, o.field) end
  drop(P .. 'h:' .. id)
  originals[id] = nil
end
-- forgetHold erases a hold, and takes it out of the sets of states and out of all that is counted.
local function forgetHold(id)
  local waiting = 0
  for _, st in ipairs({'held', 'releasing'}) do waiting = waiting + redis.call('ZREM', P .. 'z:' .. st, id) end
  for _, st in ipairs({'released', 'recalled'}) do redis.call('ZREM', P .. 'z:' .. st, id) end
  if waiting > 0 then waits(id, false) end
  uncharge(id, true)
  redis.call('ZREM', P .. 'debts', id)
  erase(id)
end
-- packed says whether a record is packed: all recipients of its message got it. packed.go has the idea.
local function packed(id)
  local o = original(id)
  return o and o.meta == '' and (o.x or redis.call('HEXISTS', P .. 'h:' .. id, 'x') == 1)
end
-- open is how many recipients have no final result yet.
local function open(id) return number(get(id, 'np')) or packed(id) and 0 or num(id, 'nrcpt') end
-- result is what is known of recipient n, as a table; what can't be read says nothing.
local function result(id, n)
  local r = get(id, 'r' .. n)
  if not r then return {o = packed(id) and 'sent' or 'pending'} end
  local fine, read = pcall(cjson.decode, r)
  return fine and kind(read) == 'table' and read or {o = 'pending', unread = true}
end
-- pending says whether recipient n has no final result yet.
local function pending(id, n) return result(id, n).o == 'pending' end
-- audit writes what a person did into the trail: one entry for all holds that were done at once, with blanks between
-- IDs. Reap cuts the trail by age; the length is only a last bound.
local function audit(id, verb, by, from, reason, detail)
  redis.call('XADD', P .. 'log', 'MAXLEN', '~', TRAIL_MOST, '*', 'verb', verb, 'id', id, 'by', by, 'from', from,
    'reason', reason, 'detail', detail)
end
local states = {held = true, releasing = true, released = true, recalled = true}
-- damage says what of a hold's fields, a table by name, can't be read; nil: nothing, and then comes its p taken apart.
-- Go reads the rest when it claims, and what np should say is counted.
local function damage(f)
  local o = f.p and apart(f.p) or {}
  if not o.held_at then return 'what it was at first (p) can not be read' end
  if f.state and not states[f.state] then return 'it has no known state but ' .. f.state end
  for _, name in ipairs({'due', 'attempts', 'late', 'defects'}) do
    if f[name] and not number(f[name]) then return name .. ' is not a number but ' .. f[name] end
  end
  return nil, o
end
-- fieldsOf is the hash of a hold as a table, and as Redis returns it.
local function fieldsOf(id)
  local flat, f = redis.call('HGETALL', P .. 'h:' .. id), {}
  for i = 1, #flat, 2 do f[flat[i]] = flat[i + 1] end
  return f, flat
end
-- unread takes numbers that can't be read out of a record.
local function unread(id)
  for _, name in ipairs({'due', 'attempts', 'late', 'np', 'defects'}) do
    local text = redis.call('HGET', P .. 'h:' .. id, name)
    if text and not number(text) then redis.call('HDEL', P .. 'h:' .. id, name) end
  end
end
-- parkDamaged puts a hold where no loop looks, until a person has looked at it. Numbers that can't be read go: why says
-- what they were. Its state stays: what was recalled must not be sent because nobody can read that it was.
local function parkDamaged(id, why)
  local key = P .. 'h:' .. id
  unread(id)
  if (get(id, 'state') or 'held') == 'held' then
    local np, all = 0, num(id, 'nrcpt')
    for n = 0, all - 1 do if pending(id, n) then np = np + 1 end end
    if np < all then set(id, 'np', np) end
  end
  why = 'its record is damaged: ' .. string.gsub(string.sub(why, 1, 200), '%c', '?')
  redis.call('HDEL', key, 'tok')
  set(id, 'parked', why, 'due', int(NEVER))
  redis.call('ZREM', P .. 'z:releasing', id)
  redis.call('ZADD', P .. 'z:held', int(NEVER), id)
  if get(id, 'state') == 'releasing' then set(id, 'state', 'held', 'cut', 1) end
  tell('hold ' .. id .. ' is parked: ' .. why)
end
-- place puts a hold where the loops meet it.
local function place(id, state, recordTime)
  local score = num(id, 'due')
  if state == 'releasing' then score = now end
  if state == 'released' or state == 'recalled' then score = now + recordTime end
  redis.call('ZADD', P .. 'z:' .. state, int(score), id)
end
