-- Puts back what no loop and no search would meet: holds, records on shelves, and jobs. One that is releasing without a
-- lease would otherwise be stuck forever. A hold of which nobody can read the state is parked.
--
-- KEYS: as lib
-- ARGV: what the names are of, "h:", "r:" or "j:", record ms, names...
-- Returns: how many were put back
local repaired = 0
local function hold(id)
  if redis.call('EXISTS', P .. 'h:' .. id) == 0 then return end -- it went, or onto a shelf, since its name was read
  local state, put = get(id, 'state'), false
  if not states[state] then
    local there = redis.call('EXISTS', P .. 'h:' .. id) == 1 -- what was no hash is set aside by now
    if there and not redis.call('ZSCORE', P .. 'z:held', id) then
      parkDamaged(id, damage(holdOf(id)) or 'it has no state')
    end
    return
  end
  if not redis.call('ZSCORE', P .. 'z:' .. state, id) then
    place(id, state, ARGV[2])
    put = true
  end
  for e in string.gmatch(get(id, 'ix') or '', '%S+') do
    put = redis.call('SADD', P .. 'i:' .. e, numberOf(id)) == 1 or put
  end
  if put then repaired = repaired + 1 end
end
local function shelf(name)
  local key, first = P .. 'r:' .. name, math.huge
  local flat = redis.call('HGETALL', key)
  for i = 1, #flat, 2 do
    local id, fine, o = name .. flat[i], pcall(opened, name .. flat[i], flat[i + 1])
    local put = false
    for e in string.gmatch(fine and o.ix or '', '%S+') do
      put = redis.call('SADD', P .. 'i:' .. e, numberOf(id)) == 1 or put
    end
    if put then repaired = repaired + 1 end
    first = math.min(first, endOf(flat[i + 1]))
  end
  if first < (firstEnd(key) or math.huge) then
    endsFirst(key, first)
    repaired = repaired + 1
  end
end
local function job(id)
  local waits = redis.call('ZSCORE', lane(id), id) or redis.call('ZSCORE', P .. 'jobs', id)
  if not waits and redis.call('HEXISTS', P .. 'j:' .. id, 'data') == 1 then
    dueAt(id, now)
    repaired = repaired + 1
  end
end
for i = 3, #ARGV do
  pcall(({['h:'] = hold, ['r:'] = shelf, ['j:'] = job})[ARGV[1]], ARGV[i])
end
return repaired
