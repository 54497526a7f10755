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
  local counter = string.find(why, 'not an integer', 1, true) or string.find(why, 'would overflow', 1, true)
  if not counter then return false end
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
-- lineAt is the line of a text that begins at a place, and where the next one begins; nil: there is none. A plain find
-- is faster than a pattern.
local function lineAt(text, at)
  local ends = string.find(text, '\n', at, true)
  return string.sub(text, at, (ends or 0) - 1), ends and ends + 1
end
local PARTS = {'held_at', 'grace', 'size', 'nrcpt', 'nonce', 'chunks', 'ix', 'meta'}
-- apart takes the field p of a hold apart, into its fields, and returns true; of one that can't be read it finds only
-- its proof.
local function apart(o)
  local line, at = lineAt(o.p, 1)
  local meta = nil
  if at then meta, at = lineAt(o.p, at) end
  o.proof = at and lineAt(o.p, at)
  local held, grace, size, nrcpt, nonce, chunks, ix =
    string.match(line, '^(%d+) (%d+) (%d+) (%d+) (%w+) (%d+) (.*)$')
  if not held or not meta or #held > 15 or #grace > 15 or #size > 15 or #nrcpt > 6 or #chunks > 6 then return false end
  o.held_at, o.grace, o.size, o.nrcpt, o.nonce, o.chunks = held, grace, size, nrcpt, nonce, chunks
  o.ix, o.meta = ix, meta
  o.state, o.due = o.state or 'held', o.due or int(held + grace)
  return true
end
-- read makes of a hash, as Redis returns it, what holdOf says.
local function read(flat)
  local o = {}
  for i = 1, #flat, 2 do o[flat[i]] = flat[i + 1] end
  o.fields, o.key, o.field, o.proof = #flat / 2, nil, nil, nil
  o.whole = o.p and apart(o)
  if not o.whole then
    for _, name in ipairs(PARTS) do o[name] = nil end -- a field of this name could make a script loop for years
  end
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
local holds = {}
-- holdOf is what there is of a hold, by names: its fields, what its field p has, which is whole where that can be read,
-- and how many fields it has; or all of a record on a shelf. It is false where there is nothing. It is read once in a
-- script, since a command costs Redis more than what it does. write and unset keep it up to date, but not what p has,
-- nor how many fields there are.
local function holdOf(id)
  local o = holds[id]
  if o == nil then
    local flat = redis.call('HGETALL', P .. 'h:' .. id)
    o = #flat > 0 and read(flat) or nil
    if not o or not o.p then o = shelved(id) or o or false end
    holds[id] = o
  end
  return o
end
local function get(id, field)
  local o = holdOf(id)
  return o and o[field]
end
local function num(id, field) return number(get(id, field)) or 0 end
-- reread forgets what the script knows of a hold.
local function reread(id) holds[id] = nil end
-- many runs a command with as many arguments as Lua passes on at a time, until all have had their turn; pairs stay
-- together.
local function many(command, key, all)
  for i = 1, #all, 200 do redis.call(command, key, unpack(all, i, math.min(i + 199, #all))) end
end
-- write is set for what is on no shelf.
local function write(id, new)
  many('HSET', P .. 'h:' .. id, new)
  local o = holds[id]
  if not o then return reread(id) end
  for i = 1, #new, 2 do o[new[i]] = tostring(new[i + 1]) end
end
-- unset removes fields of a hold, and says whether one was there.
local function unset(id, ...)
  local o, there = holdOf(id), {}
  for _, field in ipairs({...}) do
    if o and o[field] then there[#there + 1], o[field] = field, nil end
  end
  if #there > 0 then redis.call('HDEL', P .. 'h:' .. id, unpack(there)) end
  return #there > 0
end
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
  reread(id)
end
-- unshelve takes a record off its shelf.
local function unshelve(key, field)
  redis.call('HDEL', key, field)
  if redis.call('EXISTS', key) == 0 then endsFirst(key) end
  if redis.call('INCRBY', P .. 'shelved', -1) < 0 then redis.call('DEL', P .. 'shelved') end
end
-- set writes names and values into a hold. A record on a shelf gets a hash of its own first.
local function set(id, ...)
  local o = holdOf(id)
  if o and o.key then
    if not o.state then error('its record can not be read') end
    unshelve(o.key, o.field)
    reread(id)
    local line = {o.held_at, o.grace, o.size, o.nrcpt, o.nonce, o.chunks, o.ix}
    write(id, {'p', table.concat(line, ' ') .. '\n', 'state', o.state, 'x', o.x})
    if o.o then write(id, {'o', o.o}) end
    redis.call('ZADD', P .. 'z:released', int(o.ends), id)
  end
  write(id, {...})
end
-- Places of holds in sets, sums of what waits, and what owners have are gathered, and go out when written is called:
-- one command for many holds costs Redis less than one for each.
local places, bytes, ages, owing = {}, 0, {}, {}
-- stands gives a hold its place in a set, or with false none.
local function stands(set, id, score)
  places[set] = places[set] or {}
  places[set][id] = score
end
-- move takes the hold out of one state's set and into another's; the caller sets its state.
local function move(id, from, to, score)
  stands('z:' .. from, id, false)
  stands('z:' .. to, id, score)
end
-- soonest is when the first of all that is held is due.
local function soonest() return tonumber(redis.call('ZRANGE', P .. 'z:held', 0, 0, 'WITHSCORES')[2] or math.huge) end
local function ageAt(moment) return int(math.floor(moment / AGE_STEP)) end
-- waits counts a hold of a size and age that is held or releasing from now on (1), or is not any more (-1).
local function waits(n, size, age)
  bytes, ages[age] = bytes + n * size, (ages[age] or 0) + n
end
-- group is an owner without the sender behind it.
local function group(owner) return string.match(owner, '^[^@]*') end
-- counts are what field own has of an owner: messages that wait, or whose content is kept; their bytes; bytes of all
-- records. What can't be read is nothing.
local function counts(text)
  local n, size, records = string.match(text or '', '^(%d+) (%d+) (%d+)$')
  return number(n) or 0, number(size) or 0, number(records) or 0
end
-- own counts something of an owner more (or less).
local function own(who, n, size, records)
  local more = owing[who] or {0, 0, 0}
  owing[who], more[1], more[2], more[3] = more, more[1] + n, more[2] + size, more[3] + records
end
local function writeOwing()
  local names, left, gone = {}, {}, {}
  for who in pairs(owing) do names[#names + 1] = who end
  if #names == 0 then return end
  for i, has in ipairs(redis.call('HMGET', P .. 'own', unpack(names))) do
    local who, n, size, records = names[i], counts(has)
    local more = owing[who]
    n, size, records = math.max(n + more[1], 0), math.max(size + more[2], 0), math.max(records + more[3], 0)
    if n + size + records == 0 then
      gone[#gone + 1] = who
    else
      left[#left + 1], left[#left + 2] = who, string.format('%d %d %d', n, size, records)
    end
  end
  many('HSET', P .. 'own', left)
  many('HDEL', P .. 'own', gone)
end
-- written sends what is gathered. It wakes the release loops when something is due earlier than all that was held.
local function written()
  local hasty = nil
  for set, scores in pairs(places) do
    local gone, come, first = {}, {}, math.huge
    for id, score in pairs(scores) do
      if score then
        come[#come + 1], come[#come + 2], first = int(score), id, math.min(first, score)
      else
        gone[#gone + 1] = id
      end
    end
    many('ZREM', P .. set, gone)
    if set == 'z:held' and first < soonest() then hasty = int(first) end
    many('ZADD', P .. set, come)
  end
  if bytes ~= 0 then redis.call('INCRBY', P .. 'bytes', int(bytes)) end
  for age, n in pairs(ages) do
    if redis.call('HINCRBY', P .. 'ages', age, n) <= 0 then redis.call('HDEL', P .. 'ages', age) end
  end
  writeOwing()
  places, bytes, ages, owing = {}, 0, {}, {}
  if hasty then redis.call('PUBLISH', P .. 'wake', hasty) end
end
-- noted is a hold's timeline with one line more; one that is retried for days forgets its oldest ones.
local function noted(id, event)
  local tl = get(id, 'tl') or ''
  if #tl > 32768 then tl = string.sub(tl, (string.find(tl, '\n', 8192, true) or 0) + 1) end
  return tl .. int(now) .. ' ' .. event .. '\n'
end
local function note(id, event) set(id, 'tl', noted(id, event)) end
-- each calls f with the key of every piece of the content.
local function each(id, f)
  local b = P .. 'b:' .. id .. ':' .. (get(id, 'nonce') or '') .. ':'
  for n = 0, num(id, 'chunks') - 1 do f(b .. n) end
end
local function drop(key) redis.call('DEL', key) end
-- counted is waits for a hold that has a record.
local function counted(id, n) waits(n, num(id, 'size'), ageAt(num(id, 'held_at'))) end
-- owe counts messages that wait, for their owner, and for the sender behind it.
local function owe(owner, n, bytes)
  for _, who in ipairs({group(owner), string.match(owner, '^[^@]*@.*')}) do own(who, n, bytes, 0) end
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
local crowded = {}
local function recordTime(owner, normal, least)
  local who = group(owner)
  if crowded[who] == nil then
    local f = redis.call('HMGET', P .. 'own', 'room', who)
    local room, _, _, has = number(f[1]), counts(f[2])
    crowded[who] = room ~= nil and has > room
  end
  return crowded[who] and math.min(normal, least) or normal
end
-- there says whether a hold has a record, readable or not.
local function there(id) return redis.call('EXISTS', P .. 'h:' .. id) == 1 or shelved(id) ~= nil end
-- erase removes a record with its index entries, from its shelf as well, and its content unless that stays.
local function erase(id, contentStays)
  if not contentStays then each(id, drop) end
  local n = numberOf(id)
  for e in string.gmatch(get(id, 'ix') or '', '%S+') do redis.call('SREM', P .. 'i:' .. e, n) end
  local o = holdOf(id)
  if o and o.key then unshelve(o.key, o.field) end
  drop(P .. 'h:' .. id)
  reread(id)
end
-- forgetHold erases a hold, and takes it out of the sets of states and out of all that is counted.
local function forgetHold(id)
  local waiting = 0
  for _, st in ipairs({'held', 'releasing'}) do waiting = waiting + redis.call('ZREM', P .. 'z:' .. st, id) end
  for _, st in ipairs({'released', 'recalled'}) do redis.call('ZREM', P .. 'z:' .. st, id) end
  if waiting > 0 then counted(id, -1) end
  uncharge(id, true)
  redis.call('ZREM', P .. 'debts', id)
  erase(id)
  written()
end
-- packed says whether a record is packed: all recipients of its message got it. packed.go has the idea.
local function packed(id)
  local o = holdOf(id)
  return o and o.meta == '' and o.x
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
-- damage says what of a hold can't be read; nil: nothing. Go reads the rest when it claims, and what np should say is
-- counted.
local function damage(o)
  if not o or not o.whole then return 'what it was at first (p) can not be read' end
  if not states[o.state] then return 'it has no known state but ' .. o.state end
  for _, name in ipairs({'due', 'attempts', 'late', 'defects'}) do
    if o[name] and not number(o[name]) then return name .. ' is not a number but ' .. o[name] end
  end
end
-- unread takes numbers that can't be read out of a record.
local function unread(id)
  for _, name in ipairs({'due', 'attempts', 'late', 'np', 'defects'}) do
    local text = get(id, name)
    if text and not number(text) then unset(id, name) end
  end
  reread(id) -- what a field was at first counts again
end
-- parkDamaged puts a hold where no loop looks, until a person has looked at it. Numbers that can't be read go: why says
-- what they were. Its state stays: what was recalled must not be sent because nobody can read that it was.
local function parkDamaged(id, why)
  local o = holdOf(id)
  if o and o.key then -- what is on a shelf waits for nothing
    for _, st in ipairs({'held', 'releasing'}) do stands('z:' .. st, id, false) end
    return written()
  end
  unread(id)
  if (get(id, 'state') or 'held') == 'held' then
    local np, all = 0, num(id, 'nrcpt')
    for n = 0, all - 1 do if pending(id, n) then np = np + 1 end end
    if np < all then set(id, 'np', np) end
  end
  why = 'its record is damaged: ' .. string.gsub(string.sub(why, 1, 200), '%c', '?')
  unset(id, 'tok')
  set(id, 'parked', why, 'due', int(NEVER))
  move(id, 'releasing', 'held', NEVER)
  if get(id, 'state') == 'releasing' then set(id, 'state', 'held', 'cut', 1) end
  written()
  tell('hold ' .. id .. ' is parked: ' .. why)
end
-- place puts a hold where the loops meet it.
local function place(id, state, recordTime)
  local score = num(id, 'due')
  if state == 'releasing' then score = now end
  if state == 'released' or state == 'recalled' then score = now + recordTime end
  redis.call('ZADD', P .. 'z:' .. state, int(score), id)
end
