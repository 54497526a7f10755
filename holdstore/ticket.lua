-- Takes the tickets of sealed holds away, and puts new ones there.
--
-- KEYS: as lib
-- ARGV: none
-- Returns: nothing; defines noTicket, allBut, letting(id), the function that says whether the ticket that is there is
--   for recipient n, nil where nothing is sealed or no ticket is there; and of tickets as JSON by hold: lacking(id,
--   mays), whether a sealed hold has none there, and ticket(id, mays)
local function mayOf(id, mays) return mays and mays ~= '' and cjson.decode(mays)[id] end
local function lacking(id, mays)
  return not mayOf(id, mays) and string.find(get(id, 'p') or '', '\n[^\n]*\n')
end
-- allBut returns the function that says whether a ticket is for recipient n; without lists those whom it leaves out.
local function allBut(without)
  local out = {}
  for n in string.gmatch(without, ',(%d+)') do out[tonumber(n)] = true end
  return function(n) return not out[n] end
end
local function letting(id)
  local o = holdOf(id)
  local proof = o and o.proof
  if not proof then return nil end
  if string.match(proof, '^%S+ %S+ %S') then return function() return true end end
  local without = string.match(get(id, 'may') or '', '^(%S+) ')
  return without and allBut(without)
end
local function noTicket(id)
  local o = holdOf(id)
  if not o or not o.proof then return end
  local kept, proof = string.match(get(id, 'p') or '', '^([^\n]*\n[^\n]*\n(%S+ %S+)) %S+$')
  if kept then
    write(id, {'p', kept})
    o.proof = proof
  end
  unset(id, 'may')
end
local function ticket(id, mays)
  local may = mayOf(id, mays)
  if may then set(id, 'may', may) end
end
