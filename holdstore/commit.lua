-- Makes the holds of a batch: decides about each, and then writes those that there may be. Nothing is written before
-- all is decided, so a script that fails on the way there has done nothing. What is the same for all is one command for
-- all: a command costs Redis more than what it does.
--
-- KEYS: what all names of the shard begin with
-- ARGV: for how long a message is unconfirmed (ms); for how long the content of a recalled hold is kept, and a record
--   (ms); how many bytes and messages one owner may have; what confirm wants (confirm.lua); then of each hold: ID,
--   nonce, grace (ms), record without its moment, fingerprint, bytes of the message, how many pieces are staged (0: the
--   content comes next), content or "", what it replaces as JSON or "", index entries with blanks between, owner or "",
--   bytes of the content and of the record as stored
-- Returns: {Redis's time (ms), a row for each}. A row is 1 for a hold that was made; {id, held_at, due} of one that was
--   there before, which is this very hold or an unconfirmed one of the same content; or "fenced" by a tombstone,
--   "taken" by another hold with this ID, "quota", or "missing" when a staged piece is gone.
local UNCONFIRMED, CONTENT_TIME, RECORD_TIME = tonumber(ARGV[1]), ARGV[2], ARGV[3]
local OWN_BYTES, OWN_COUNT = tonumber(ARGV[4]), tonumber(ARGV[5])
local ID, NONCE, GRACE, RECORD, PRINT, SIZE, STAGED = 0, 1, 2, 3, 4, 5, 6
local CONTENT, REPLACES, ENTRIES, OWNER, BYTES, COST, FIELDS = 7, 8, 9, 10, 11, 12, 13
local V, NOW, begin = ARGV, int(now), confirm(6) -- a hold is known here by where in ARGV it begins

-- What is there of all of them.
local names, prints, owners, of = {}, {}, {}, {'room'}
for a = begin, #V, FIELDS do
  local id, owner = V[a + ID], V[a + OWNER]
  names[#names + 1], names[#names + 2], prints[#prints + 1] = P .. 'h:' .. id, P .. 'x:' .. id, V[a + PRINT]
  if owner ~= '' and not owners[owner] then
    owners[owner] = #of
    of[#of + 1], of[#of + 2], of[#of + 3] = owner .. ':n', owner .. ':b', owner .. ':r'
  end
end
local marked = redis.call('EXISTS', unpack(names)) > 0 -- usually nobody has any of the IDs, and none is fenced off
local others = redis.call('HMGET', P .. 'u', unpack(prints))
local owned = redis.call('HMGET', P .. 'own', unpack(of))

-- known is the row of a hold that is there. Somebody relies on it from now on: its own fence may no longer delete it.
local function known(id)
  set(id, 'relied', 1)
  return {id, get(id, 'held_at'), get(id, 'due')}
end

-- over says whether a hold is more than its owner may have, and charges it otherwise. A client that nobody has logged
-- in at may have twice as much: it may be a whole office.
local function over(a)
  local owner = V[a + OWNER]
  local o = owners[owner]
  if not o then return false end
  local times = string.sub(owner, 1, 1) == 'c' and 2 or 1
  local n, b, cost = tonumber(owned[o + 1] or 0), tonumber(owned[o + 2] or 0), V[a + COST]
  local most = b + V[a + BYTES] + cost
  if n >= OWN_COUNT * times or most > OWN_BYTES * times then return true end
  owned[o + 1], owned[o + 2], owned[o + 3] = n + 1, most, (owned[o + 3] or 0) + cost
  return false
end

local function missing(a)
  local pieces, staged = {}, tonumber(V[a + STAGED])
  if staged == 0 then return false end
  for n = 1, staged do pieces[n] = P .. 'b:' .. V[a + ID] .. ':' .. V[a + NONCE] .. ':' .. n - 1 end
  return redis.call('EXISTS', unpack(pieces)) < staged
end

local fresh, relied = {}, {}
-- decide returns the row of a hold that is not made.
local function decide(a, other)
  local id = V[a + ID]
  if marked then
    local nonce = get(id, 'nonce')
    if nonce then return nonce == V[a + NONCE] and known(id) or 'taken' end
    if redis.call('EXISTS', P .. 'x:' .. id) == 1 then return 'fenced' end
  end
  local first = fresh[V[a + PRINT]]
  if first then
    relied[first] = true
    return {V[first + ID], NOW, int(now + V[first + GRACE])}
  end
  if other and now < num(other, 'held_at') + UNCONFIRMED then return known(other) end
  if missing(a) then return 'missing' end
  if over(a) then return 'quota' end
  fresh[V[a + PRINT]] = a
end

local rows, make = {now}, {}
for a = begin, #V, FIELDS do
  local row = decide(a, others[#rows])
  rows[#rows + 1] = row or 1
  if not row then make[#make + 1] = a end
end
if #make == 0 then return rows end

-- All is decided; from here on it is written.
local index, held, unsure, bytes, first, hasty = {}, {}, {}, 0, soonest(), nil
for n, a in ipairs(make) do
  local id, piece, due = V[a + ID], P .. 'b:' .. V[a + ID] .. ':' .. V[a + NONCE] .. ':', now + V[a + GRACE]
  local staged, fields = tonumber(V[a + STAGED]), {'p', NOW .. V[a + RECORD]}
  if staged == 0 then redis.call('SET', piece .. 0, V[a + CONTENT]) end
  for m = 0, staged - 1 do redis.call('PERSIST', piece .. m) end
  if V[a + OWNER] ~= '' then fields[3], fields[4] = 'o', V[a + OWNER] .. ' ' .. V[a + BYTES] .. ' ' .. V[a + COST] end
  if relied[a] then fields[#fields + 1], fields[#fields + 2] = 'relied', 1 end
  set(id, unpack(fields))
  for e in string.gmatch(V[a + ENTRIES], '%S+') do
    local members = index[e]
    if not members then index[e] = {NOW, id} else members[#members + 1], members[#members + 2] = NOW, id end
  end
  held[2 * n - 1], held[2 * n] = int(due), id
  unsure[2 * n - 1], unsure[2 * n] = V[a + PRINT], id
  bytes = bytes + V[a + SIZE]
  if due < first then first, hasty = due, int(due) end
end
for e, members in pairs(index) do redis.call('ZADD', P .. 'i:' .. e, unpack(members)) end
redis.call('ZADD', P .. 'z:held', unpack(held))
redis.call('HSET', P .. 'u', unpack(unsure))
redis.call('INCRBY', P .. 'bytes', int(bytes))
aged(ageAt(now), #make)
local fields = {'room', V[4]}
for n = 2, #of do
  if owned[n] then fields[#fields + 1], fields[#fields + 2] = of[n], int(owned[n]) end
end
redis.call('HSET', P .. 'own', unpack(fields))
if hasty then redis.call('PUBLISH', P .. 'wake', hasty) end
for _, a in ipairs(make) do
  if V[a + REPLACES] ~= '' then replace(V[a + ID], cjson.decode(V[a + REPLACES]), CONTENT_TIME, RECORD_TIME) end
end
return rows
