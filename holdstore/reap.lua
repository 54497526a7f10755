-- Takes expired leases back: of an attempt that was cut off nobody knows whether the port took it. It also forgets
-- expired records, and of some fingerprints that nobody confirmed those that are too old.
--
-- KEYS: as lib
-- ARGV: at most how many of each, event, how long a message is unconfirmed (ms)
-- Returns: {leases, records}
local leases, records = 0, 0
for _, id in ipairs(redis.call('ZRANGEBYSCORE', P .. 'z:releasing', '-inf', int(now), 'LIMIT', 0, ARGV[1])) do
  leases = leases + 1
  if get(id, 'state') ~= 'releasing' then
    redis.call('ZREM', P .. 'z:releasing', id)
  else
    hurry(num(id, 'due'))
    move(id, 'releasing', 'held', num(id, 'due'))
    redis.call('HDEL', P .. 'h:' .. id, 'tok')
    set(id, 'cut', 1)
    note(id, ARGV[2])
  end
end
for _, st in ipairs({'released', 'recalled'}) do
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', P .. 'z:' .. st, '-inf', int(now), 'LIMIT', 0, ARGV[1])) do
    records = records + 1
    if get(id, 'state') == st then forget(id) else redis.call('ZREM', P .. 'z:' .. st, id) end
  end
end
for _, id in ipairs(redis.call('ZRANGEBYSCORE', P .. 'debts', '-inf', int(now), 'LIMIT', 0, ARGV[1])) do
  redis.call('ZREM', P .. 'debts', id)
  if get(id, 'state') == 'recalled' then uncharge(id) end
end
local some = redis.call('HRANDFIELD', P .. 'u', ARGV[1], 'WITHVALUES')
for i = 1, #some, 2 do
  if now >= num(some[i + 1], 'held_at') + ARGV[3] then redis.call('HDEL', P .. 'u', some[i]) end
end
return {leases, records}
