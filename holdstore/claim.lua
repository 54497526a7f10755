-- Leases due holds, soonest due first.
--
-- KEYS: as lib
-- ARGV: none
-- Returns: nothing; defines claim(most, lease ms, token, room), which returns of each {id, piece 0 of its content while
--   there is room for so many bytes, {fields of the hash...}}, and nil while releases are paused
local function claim(most, lease, token, room)
  if redis.call('EXISTS', P .. 'paused') == 1 then return nil end
  local rows, left, leased = {}, {}, {}
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', P .. 'z:held', '-inf', int(now), 'LIMIT', 0, most)) do
    left[#left + 1] = id
    local flat = redis.call('HGETALL', P .. 'h:' .. id)
    local o = #flat > 0 and read(flat)
    local elsewhere = o and states[o.state] and o.state ~= 'held'
    local wrong = o and not elsewhere and damage(o)
    if wrong then
      left[#left] = nil
      if not pcall(parkDamaged, id, wrong) then tell('hold ' .. id .. ' could not be parked: ' .. wrong) end
    elseif o and not elsewhere then
      local attempts = int((number(o.attempts) or 0) + 1)
      leased[#leased + 1], leased[#leased + 2] = int(now + lease), id
      local fresh = {'state', 'releasing', 'tok', token, 'attempts', attempts}
      if attempts == '1' then fresh[7], fresh[8] = 'late', int(now - o.due) end
      for i = 1, #fresh do flat[#flat + 1] = fresh[i] end
      rows[#rows + 1] = {id, fresh, flat, o.nonce}
    end
  end
  if #left > 0 then redis.call('ZREM', P .. 'z:held', unpack(left)) end
  if #rows > 0 then redis.call('ZADD', P .. 'z:releasing', unpack(leased)) end
  for n, row in ipairs(rows) do
    local id, first = row[1], ''
    write(id, row[2])
    if room > 0 then
      local piece = redis.pcall('GET', P .. 'b:' .. id .. ':' .. row[4] .. ':0')
      first = type(piece) == 'string' and piece or ''
      room = room - #first
      if room < 0 then first = '' end
    end
    rows[n] = {id, first, row[3]} -- later fields of the same name count
  end
  return rows
end
