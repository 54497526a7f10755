-- The moves of recall and restore, for all scripts that make them. Whoever takes back what is recalled already relies
-- on that from then on: the field by, of a hold that was only replaced, goes. The script must call written after them.
--
-- KEYS: as lib
-- ARGV: none
-- Returns: nothing; defines takeBack, which returns "ok", "partly" (some recipients have it already, or may have),
--   "none", "late", or the state that forbids it; and giveBack, which returns "ok", "gone", "none", "nokey", "stopped"
--   (an operator has recalled it), "changed" (another recall was faster), or the state. would.go foretells these
-- takenBack moves a hold into the set of what is recalled; the caller sets its state. Its content stays for a while,
-- and its owner is charged for it until then.
local function takenBack(id, contentTime, recordMost)
  local owner = string.match(get(id, 'o') or '', '^%S+') or ''
  move(id, 'held', 'recalled', now + recordTime(owner, tonumber(recordMost), tonumber(contentTime)))
  each(id, function(key) redis.call('PEXPIRE', key, contentTime) end)
  stands('debts', id, now + contentTime)
  counted(id, -1)
end
-- back is the result of a recipient, r until now, that is taken back at a moment. What was cut off on its way to the
-- port, or can't be read, may have been sent.
local function back(r, cut, at)
  if cut or r.unread then return cjson.encode({o = 'unknown', c = true, t = at}) end
  return string.format('{"o":"recalled","t":%d}', at)
end
local function wasBack(r) return r.o == 'recalled' or r.c == true end
-- later is a moment behind that of a result that was taken back: a restore undoes the last recall, and no other, also
-- when the clock was set back between two of them. cjson rounds what has more than 14 digits.
local function later(at, r)
  return wasBack(r) and kind(r.t) == 'number' and r.t >= at and r.t < 10 ^ 13 and math.floor(r.t) + 1 or at
end
-- gets says of a result whether its recipient could still get the message: whoever writes to Redis can write that it
-- was recalled, but a recall takes the ticket away as well.
local function gets(r, n, lets) return r.o == 'pending' or wasBack(r) and lets ~= nil and lets(n) end
-- stateNow is the state of a hold. One that is called recalled, and has its ticket, is held: nobody recalled it.
local function stateNow(id)
  local state = get(id, 'state')
  if state ~= 'recalled' or not letting(id) then return state end
  move(id, 'recalled', 'held', num(id, 'due'))
  set(id, 'state', 'held')
  written()
  return 'held'
end
-- stopped notes that an operator has recalled a hold, or was told that it is recalled: nobody else restores it then.
local function stopped(id, operator)
  if operator then set(id, 'stopped', 1) end
end
local function takeBack(id, contentTime, recordMost, operator, event)
  local state = stateNow(id)
  if not state then return 'none' end
  if state == 'recalled' then
    stopped(id, operator)
    unset(id, 'by')
    return state
  end
  if not states[state] then return 'damaged' end
  if state ~= 'held' then return 'late' end
  local lets, cut, all, word, at = letting(id), get(id, 'cut'), {}, 'ok', now
  for n = 0, num(id, 'nrcpt') - 1 do
    local r = result(id, n)
    if gets(r, n, lets) then all[n] = r else at = later(at, r) end
    if r.o == 'sent' or r.unread or cut then word = 'partly' end
  end
  if not next(all) then return 'late' end
  noTicket(id)
  local changed = {'state', 'recalled', 'np', '0', 'tl', noted(id, event)}
  if operator then changed[#changed + 1], changed[#changed + 2] = 'stopped', '1' end
  for n, r in pairs(all) do changed[#changed + 1], changed[#changed + 2] = 'r' .. n, back(r, cut, at) end
  write(id, changed)
  takenBack(id, contentTime, recordMost)
  return word
end
-- heldAgain undoes what took the hold back, for the recipients of whom undone(n) is true. Unless it is due as parked
-- holds are, it is parked no longer.
local function heldAgain(id, due, undone)
  local state = get(id, 'state')
  if not state then return 'none' end
  if state ~= 'recalled' then return states[state] and state or 'damaged' end
  local gone = false
  each(id, function(key) if redis.call('EXISTS', key) == 0 then gone = true end end)
  if gone then return 'gone' end
  each(id, function(key) redis.call('PERSIST', key) end)
  local np = 0
  for n = 0, num(id, 'nrcpt') - 1 do
    if undone(n) then unset(id, 'r' .. n) end
    if pending(id, n) then np = np + 1 end
  end
  unset(id, 'by')
  if due < NEVER then unset(id, 'parked', 'defects') end
  stands('debts', id, false)
  set(id, 'state', 'held', 'np', np, 'due', int(due))
  move(id, 'recalled', 'held', due)
  counted(id, 1)
  return 'ok'
end
-- dueAgain is when a hold is due that is given back: after its grace, or at its moment of the calendar.
local function dueAgain(id)
  local readable, terms = pcall(cjson.decode, get(id, 'meta') or '')
  if readable and terms.fx then return math.max(now, num(id, 'held_at') + num(id, 'grace')) end
  return now + num(id, 'grace')
end
-- lastBack returns the function that says whether the last recall took a recipient back. Where a ticket lets them get
-- the message again, it has to say the same: else another recall came after it was made, and nil is returned.
local function lastBack(id, may)
  local without = may and string.match(may, '^(%S+) ')
  local function moment(n) return tonumber(result(id, n).t) or 0 end
  local last, all = 0, num(id, 'nrcpt') - 1
  for n = 0, all do
    if wasBack(result(id, n)) then last = math.max(last, moment(n)) end
  end
  local lets = without and allBut(without)
  for n = 0, lets and all or -1 do
    if wasBack(result(id, n)) and lets(n) ~= (moment(n) >= last) then return nil end
  end
  return function(n) return moment(n) >= last end
end
local function giveBack(id, mays, _, operator, event)
  if get(id, 'stopped') and not operator and get(id, 'state') == 'recalled' then return 'stopped' end
  if lacking(id, mays) then return 'nokey' end
  local last = lastBack(id, mayOf(id, mays))
  if not last then return 'changed' end
  local word = heldAgain(id, dueAgain(id), function(n) return wasBack(result(id, n)) and last(n) end)
  if word == 'ok' then
    ticket(id, mays)
    unset(id, 'stopped')
    note(id, event)
  end
  return word
end
