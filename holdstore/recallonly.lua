-- Takes a hold back for some recipients; when nobody is left who would get it, the hold is recalled.
--
-- KEYS: as lib
-- ARGV: id, event, by, from, reason, content ms, record ms, detail, ticket for the others, the one that it was made
--   from, recipient indexes...
-- Returns: "ok", "none", "late", "changed" (another recall was faster), or the state that forbids it
local id, state = ARGV[1], get(ARGV[1], 'state')
if not state then return 'none' end
if state == 'recalled' then
  redis.call('HDEL', P .. 'h:' .. id, 'by')
  return state
end
if state ~= 'held' then return 'late' end
if (get(id, 'may') or '') ~= ARGV[10] then return 'changed' end
local taken, before = 0, 0
for i = 11, #ARGV do
  if pending(id, ARGV[i]) then
    set(id, 'r' .. ARGV[i], back(id))
    taken = taken + 1
  elseif wasBack(get(id, 'r' .. ARGV[i])) then
    before = before + 1
  end
end
if taken == 0 then return before > 0 and 'recalled' or 'late' end
set(id, 'np', open(id) - taken)
noTicket(id)
if ARGV[9] ~= '' and open(id) > 0 then set(id, 'may', ARGV[9]) end
if open(id) == 0 then
  takenBack(id, ARGV[6], ARGV[7])
end
note(id, ARGV[2])
audit(id, 'recall', ARGV[3], ARGV[4], ARGV[5], ARGV[8])
return 'ok'
