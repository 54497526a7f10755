-- Makes the holds of a batch: decides about each, and then writes those that there may be. No hold is written before
-- all is decided, so a script that fails on the way there has made nothing. What is the same for all is one command for
-- all: a command costs Redis more than what it does.
--
-- KEYS: what all names of the shard begin with
-- ARGV: for how long a message is unconfirmed (ms); for how long the content of a recalled hold is kept, and a record
--   (ms); how many bytes one owner may have, are free, and may be records of one owner in this shard, with blanks
--   between; how many messages one owner may have; what confirm wants (confirm.lua); then of each hold: ID,
--   nonce, grace (ms), record without its moment, fingerprint, bytes of the message, how many pieces are staged (0: the
--   only one was set right before, in the same transaction), what it replaces as JSON or "", index entries with blanks
--   between, owner or "", bytes of the content and of the record as stored, messages and bytes of the owner and of the
--   sender behind in other shards of this server, with blanks between, and its ID as a number
-- Returns: {Redis's time (ms), a row for each}. A row is 1 for a hold that was made; {id, held_at, due} of one that was
--   there before, which is this very hold or an unconfirmed one of the same content; or "fenced" by a tombstone,
--   "taken" by another hold with this ID, "quota", or "missing" when a piece of its content is not there.
local UNCONFIRMED, CONTENT_TIME, RECORD_TIME = tonumber(ARGV[1]), ARGV[2], ARGV[3]
local SHARE, RECORDS = string.match(ARGV[4], '^(%d+) %d+ (%d+)$')
local OWN_COUNT = tonumber(ARGV[5])
local ID, NONCE, GRACE, RECORD, PRINT, SIZE, STAGED = 0, 1, 2, 3, 4, 5, 6
local REPLACES, ENTRIES, OWNER, BYTES, COST, ELSEWHERE, NUMBER, FIELDS = 7, 8, 9, 10, 11, 12, 13, 14
local V, NOW, begin = ARGV, int(now), confirm(6) -- a hold is known here by where in ARGV it begins

-- What is there of all of them.
local names, prints, owners, owned, alone = {}, {}, {}, {}, {}
for a = begin, #V, FIELDS do
  local id, owner = V[a + ID], V[a + OWNER]
  names[#names + 1], names[#names + 2], prints[#prints + 1] = P .. 'h:' .. id, P .. 'x:' .. id, V[a + PRINT]
  shelves(id, function(key) names[#names + 1] = key end)
  if V[a + STAGED] == '0' then alone[#alone + 1] = P .. 'b:' .. id .. ':' .. V[a + NONCE] .. ':0' end
  if owner ~= '' then
    local whole = group(owner)
    if not owned[whole] then owned[whole], owners[#owners + 1] = true, whole end
    if not owned[owner] then owned[owner], owners[#owners + 1] = true, owner end
  end
end
local marked = redis.call('EXISTS', unpack(names)) > 0 -- usually nobody has any of the IDs
-- Where the login may use no transactions, the content may have been refused, and this script not.
local lost = #alone > 0 and redis.call('EXISTS', unpack(alone)) < #alone
local others = redis.call('HMGET', P .. 'u', unpack(prints))
if #owners > 0 then
  for i, has in ipairs(redis.call('HMGET', P .. 'own', unpack(owners))) do owned[owners[i]] = {counts(has)} end
end

-- known is the row of a hold that is there. Somebody relies on it from now on: its own fence may no longer delete it.
local function known(id)
  set(id, 'relied', 1)
  return {id, get(id, 'held_at'), get(id, 'due')}
end

local free, exact = tonumber(string.match(ARGV[4], ' (%d+)')), false
-- room is how many bytes an owner may have who has so many then: at most half of what is free is left to one. What the
-- store's client knows of that is a moment old; what is only remembered of inbound mail gives way.
local function room(times, has)
  if not exact and has > 1048576 then
    local info = redis.call('INFO', 'memory')
    local most = tonumber(string.match(info, '\nmaxmemory:(%d+)') or 0)
    local givesWay = number(redis.call('HGET', P .. 'insum', 'bytes')) or 0
    if most > 0 then free = math.max(most - string.match(info, '\nused_memory:(%d+)') + givesWay, 0) end
    exact = true
  end
  return math.min(SHARE * times, free / 2)
end
-- beyond says whether bytes, and one message, are more than a part of what an owner may have, who has some elsewhere.
local function beyond(has, n, elsewhere, bytes, times, part)
  bytes = has[2] + (elsewhere or 0) + bytes
  return has[1] + (n or 0) >= OWN_COUNT * times * part or bytes > room(times, bytes) * part
end
-- over says whether a hold is more than its owner may have, and charges it otherwise. A client that nobody has logged
-- in at may have twice as much: it may be a whole office. Of what an owner may have, one sender gets half.
local function over(a)
  local owner = V[a + OWNER]
  if owner == '' then return false end
  local bytes, times = V[a + BYTES] + V[a + COST], string.sub(owner, 1, 1) == 'c' and 2 or 1
  local all, one = owned[group(owner)], owned[owner]
  local n, b, oneN, oneB = string.match(V[a + ELSEWHERE], '^(%d+) (%d+) (%d+) (%d+)$')
  if beyond(all, n, b, bytes, times, 1) then return true end
  if one ~= all and beyond(one, oneN, oneB, bytes, times, 1 / 2) then return true end
  all[1], all[2], all[3] = all[1] + 1, all[2] + bytes, all[3] + V[a + COST]
  if one ~= all then one[1], one[2] = one[1] + 1, one[2] + bytes end
  return false
end

local function missing(a)
  local pieces, staged = {}, tonumber(V[a + STAGED])
  if staged == 0 then
    if not lost then return false end
    staged = 1
  end
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
  if not row then
    make[#make + 1] = a
  elseif V[a + STAGED] == '0' and (kind(row) == 'string' or row[1] ~= V[a + ID]) then
    drop(P .. 'b:' .. V[a + ID] .. ':' .. V[a + NONCE] .. ':0') -- what came with it is nobody's
  end
end
if #make == 0 then return rows end

-- All is decided; from here on it is written.
local index, unsure = {}, {}
for n, a in ipairs(make) do
  local id, piece, due = V[a + ID], P .. 'b:' .. V[a + ID] .. ':' .. V[a + NONCE] .. ':', now + V[a + GRACE]
  local staged, fields = math.max(V[a + STAGED], 1), {'p', NOW .. V[a + RECORD]}
  for m = 0, staged - 1 do redis.call('PERSIST', piece .. m) end
  if V[a + OWNER] ~= '' then fields[3], fields[4] = 'o', V[a + OWNER] .. ' ' .. V[a + BYTES] .. ' ' .. V[a + COST] end
  if relied[a] then fields[#fields + 1], fields[#fields + 2] = 'relied', 1 end
  write(id, fields)
  for e in string.gmatch(V[a + ENTRIES], '%S+') do
    local members = index[e]
    if not members then index[e] = {V[a + NUMBER]} else members[#members + 1] = V[a + NUMBER] end
  end
  stands('z:held', id, due)
  waits(1, V[a + SIZE], ageAt(now))
  unsure[2 * n - 1], unsure[2 * n] = V[a + PRINT], id
end
for e, members in pairs(index) do redis.call('SADD', P .. 'i:' .. e, unpack(members)) end
redis.call('HSET', P .. 'u', unpack(unsure))
local fields = {'room', RECORDS}
for _, who in ipairs(owners) do
  local has = owned[who]
  if has[1] + has[3] > 0 then fields[#fields + 1], fields[#fields + 2] = who, string.format('%d %d %d', unpack(has)) end
end
redis.call('HSET', P .. 'own', unpack(fields))
for _, a in ipairs(make) do
  if V[a + REPLACES] ~= '' then -- what is wrong with a replaced hold harms no other message of the batch
    local fine = pcall(replace, V[a + ID], cjson.decode(V[a + REPLACES]), CONTENT_TIME, RECORD_TIME)
    if not fine then tell('hold ' .. V[a + ID] .. ': not all that it replaces could be taken back') end
  end
end
written()
return rows
