-- The moves that all scripts share. P is what all names of the shard begin with; times are in ms.
--
-- KEYS: what all names of the shard begin with
-- ARGV: none
-- Returns: nothing; defines functions
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local function int(n) return string.format('%d', n) end
local originals = {}
-- original is the hold's field p, taken apart; false where there is none.
local function original(id)
  local o = originals[id]
  if o == nil then
    local p = redis.call('HGET', P .. 'h:' .. id, 'p')
    if p then
      o = {}
      o.held_at, o.grace, o.size, o.nrcpt, o.nonce, o.chunks, o.ix, o.meta =
        string.match(p, '^(%d+) (%d+) (%d+) (%d+) (%w+) (%d+) ([^\n]*)\n([^\n]*)')
      if o.held_at then o.state, o.due = 'held', int(o.held_at + o.grace) end
    end
    originals[id] = o or false
  end
  return o
end
local became = {state = true, due = true}
local function get(id, field)
  local o = original(id)
  if o and o[field] and not became[field] then return o[field] end
  return redis.call('HGET', P .. 'h:' .. id, field) or o and o[field]
end
local function num(id, field) return tonumber(get(id, field) or 0) end
local function set(id, ...) return redis.call('HSET', P .. 'h:' .. id, ...) end
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
  redis.call('INCRBY', P .. 'bytes', (yes and '' or '-') .. get(id, 'size'))
  aged(ageOf(id), yes and 1 or -1)
end
-- group is an owner without the sender behind it.
local function group(owner) return string.match(owner, '^[^@]*') end
-- own counts something of an owner: :n messages that wait, or whose content is kept; :b their bytes; :r bytes of all
-- records.
local function own(field, by)
  if redis.call('HINCRBY', P .. 'own', field, int(by)) <= 0 then redis.call('HDEL', P .. 'own', field) end
end
-- owe counts messages that wait, for their owner, and for the sender behind it.
local function owe(owner, n, bytes)
  for _, who in ipairs({group(owner), string.match(owner, '.*@.*')}) do
    own(who .. ':n', n)
    own(who .. ':b', bytes)
  end
end
-- uncharge takes from its owner what a hold had waiting, or all of it.
local function uncharge(id, all)
  local owner, content, record = string.match(get(id, 'o') or '', '^(%S+) (%S+) (%d+)$')
  if not owner then return end
  if content ~= '-' then
    owe(owner, -1, -(content + record))
    if not all then set(id, 'o', owner .. ' - ' .. record) end
  end
  if all then own(group(owner) .. ':r', -record) end
end
-- recordTime is how long a record is kept: less, when its owner has more records than their part of the store.
local function recordTime(owner, normal, least)
  local f = redis.call('HMGET', P .. 'own', 'room', group(owner) .. ':r')
  return f[1] and f[2] and tonumber(f[2]) > tonumber(f[1]) and math.min(normal, least) or normal
end
-- erase removes everything of a hold that nothing counts; its content may stay.
local function erase(id, contentStays)
  if not contentStays then each(id, drop) end
  for e in string.gmatch(get(id, 'ix') or '', '%S+') do redis.call('ZREM', P .. 'i:' .. e, id) end
  drop(P .. 'h:' .. id)
  originals[id] = nil
end
-- forget removes everything of a hold.
local function forget(id)
  local waiting = 0
  for _, st in ipairs({'held', 'releasing'}) do waiting = waiting + redis.call('ZREM', P .. 'z:' .. st, id) end
  for _, st in ipairs({'released', 'recalled'}) do redis.call('ZREM', P .. 'z:' .. st, id) end
  if waiting > 0 then waits(id, false) end
  uncharge(id, true)
  redis.call('ZREM', P .. 'debts', id)
  erase(id)
end
-- open is how many recipients have no final result yet.
local function open(id) return tonumber(get(id, 'np') or '') or num(id, 'nrcpt') end
-- result is what is known of recipient n; what can't be read says nothing.
local function result(id, n)
  local fine, r = pcall(cjson.decode, get(id, 'r' .. n) or '{"o":"pending"}')
  return fine and type(r) == 'table' and r or {o = 'pending'}
end
-- pending says whether recipient n has no final result yet.
local function pending(id, n) return result(id, n).o == 'pending' end
-- audit writes what a person did into the trail: one entry for all holds that were done at once, with blanks between
-- IDs. Reap cuts the trail by age; the length is only a last bound.
local function audit(id, verb, by, from, reason, detail)
  redis.call('XADD', P .. 'log', 'MAXLEN', '~', TRAIL_MOST, '*', 'verb', verb, 'id', id, 'by', by, 'from', from,
    'reason', reason, 'detail', detail)
end
