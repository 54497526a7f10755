-- Takes a hold back for some recipients; when nobody is left who would get it, the hold is recalled.
--
-- KEYS: as lib
-- ARGV: id, event, by, from, reason, content ms, record ms, detail, ticket for the others, the one that it was made
--   from, "1" for an operator, recipient indexes...
-- Returns: "ok", "none", "late", "changed" (another recall was faster), or the state that forbids it
local id, state = ARGV[1], stateNow(ARGV[1])
if not state then return 'none' end
if state == 'recalled' then
  stopped(id, ARGV[11] == '1')
  unset(id, 'by')
  return state
end
if state ~= 'held' then return 'late' end
if (get(id, 'may') or '') ~= ARGV[10] then return 'changed' end
local lets, cut, taken, some, before, at = letting(id), get(id, 'cut'), {}, false, false, now
for i = 12, #ARGV do
  local n = tonumber(ARGV[i])
  local r = result(id, n)
  if gets(r, n, lets) then
    taken[n], some = r, true
  elseif wasBack(r) then
    before = true
  end
end
if some or before then stopped(id, ARGV[11] == '1') end
if not some then return before and 'recalled' or 'late' end
local np, left = 0, 0
for n = 0, num(id, 'nrcpt') - 1 do
  local r = result(id, n)
  if not taken[n] and gets(r, n, lets) then left = left + 1 end
  if not taken[n] then at = later(at, r) end
  if not taken[n] and r.o == 'pending' then np = np + 1 end
end
noTicket(id)
if ARGV[9] ~= '' and left > 0 then set(id, 'may', ARGV[9]) end
for n, r in pairs(taken) do set(id, 'r' .. n, back(r, cut, at)) end
set(id, 'np', np, 'tl', noted(id, ARGV[2]))
if left == 0 then
  set(id, 'state', 'recalled')
  takenBack(id, ARGV[6], ARGV[7])
end
written()
audit(id, 'recall', ARGV[3], ARGV[4], ARGV[5], ARGV[8])
return 'ok'
