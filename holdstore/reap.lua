-- Takes expired leases back: of an attempt that was cut off nobody knows whether the port took it. It also forgets
-- expired records, and of some fingerprints that nobody confirmed those that are too old. First it sets keys aside that
-- all holds share and that have become of another type.
--
-- KEYS: as lib
-- ARGV: at most how many of each, event, how long a message is unconfirmed (ms), how many lines for the log, then
--   names and types of keys that holds share
-- Returns: {leases, records, {lines for the log...}}
local leases, records = 0, 0
for i = 5, #ARGV, 2 do
  local is = redis.call('TYPE', P .. ARGV[i]).ok
  if is ~= 'none' and is ~= ARGV[i + 1] then setAside(P .. ARGV[i]) end
end
-- alone does something to one hold; when that fails, the hold is parked.
local function alone(id, f)
  local fine, why = pcall(f, id)
  if fine then return end
  why = kind(why) == 'table' and why.err or why
  if not pcall(parkDamaged, id, why) then tell('hold ' .. id .. ' could not be parked: ' .. why) end
end
for _, id in ipairs(redis.call('ZRANGEBYSCORE', P .. 'z:releasing', '-inf', int(now), 'LIMIT', 0, ARGV[1])) do
  leases = leases + 1
  alone(id, function()
    local o = holdOf(id)
    if not o or o.key or states[o.state] and o.state ~= 'releasing' then return stands('z:releasing', id, false) end
    local wrong = damage(o)
    if wrong then return parkDamaged(id, wrong) end
    unset(id, 'tok')
    set(id, 'state', 'held', 'cut', 1, 'tl', noted(id, ARGV[2]))
    move(id, 'releasing', 'held', num(id, 'due'))
  end)
end
written()
for _, st in ipairs({'released', 'recalled'}) do
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', P .. 'z:' .. st, '-inf', int(now), 'LIMIT', 0, ARGV[1])) do
    records = records + 1
    if get(id, 'state') ~= st or not pcall(forgetHold, id) then redis.call('ZREM', P .. 'z:' .. st, id) end
  end
end
-- Of each of these shelves one record has ended, at least.
for _, shelf in ipairs(redis.call('ZRANGEBYSCORE', P .. 'ends', '-inf', int(now), 'LIMIT', 0, ARGV[1])) do
  if records >= tonumber(ARGV[1]) then break end
  local key, first = P .. 'r:' .. shelf, nil
  local flat = redis.call('HGETALL', key)
  for i = 1, #flat, 2 do
    local id, ends = shelf .. flat[i], endOf(flat[i + 1])
    if ends > now then first = math.min(first or ends, ends) else
      records = records + 1
      local own = redis.call('HEXISTS', P .. 'h:' .. id, 'p') == 1 -- then the record on the shelf is not in use
      if own or not pcall(forgetHold, id) then unshelve(key, flat[i]) end
    end
  end
  endsFirst(key, first)
end
for _, id in ipairs(redis.call('ZRANGEBYSCORE', P .. 'debts', '-inf', int(now), 'LIMIT', 0, ARGV[1])) do
  redis.call('ZREM', P .. 'debts', id)
  if get(id, 'state') == 'recalled' then uncharge(id) end
end
written()
local some = redis.call('HRANDFIELD', P .. 'u', ARGV[1], 'WITHVALUES')
for i = 1, #some, 2 do
  if now >= num(some[i + 1], 'held_at') + ARGV[3] then redis.call('HDEL', P .. 'u', some[i]) end
end
local lines = {}
while #lines < tonumber(ARGV[4]) do
  local line = redis.call('LPOP', P .. 'damage')
  if not line then break end
  lines[#lines + 1] = line
end
return {leases, records, lines}
