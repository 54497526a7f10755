-- Looks at records.
--
-- KEYS: as lib
-- ARGV: see check; names are hold IDs
-- Returns: see check
local function pieces(id, state)
  each(id, function(key)
    local left = redis.call('PTTL', key)
    if state == 'recalled' then
      if left == -1 then
        fault(id, 'its content stays forever, although it is recalled', 'it expires',
          function() redis.call('PEXPIRE', key, contentTime) end)
      end
    elseif left == -2 then
      fault(id, 'a piece of its content is missing, and so it can not be sent: ' .. string.sub(key, #P + 1))
    elseif left >= 0 then
      fault(id, 'its content would expire, although it waits', 'it stays', function() redis.call('PERSIST', key) end)
    end
  end)
end
-- ended is how a hold ended by its timeline: before the last pending recipient was sent to, others may have been taken
-- back, and before the last one was taken back, others may have been sent to.
local function ended(id)
  local last = 'released' -- a message that somebody has is never called recalled
  for line in string.gmatch(get(id, 'tl') or '', '[^\n]+') do
    local fine, e = pcall(cjson.decode, (string.gsub(line, '^%d+ ', '')))
    if fine and kind(e) == 'table' and (e.verb == 'recalled' or e.verb == 'released') then last = e.verb end
  end
  return last
end
-- stateBy is what the results of a hold say of its state: nobody is pending any more when it has been sent or taken
-- back. It is nil when one can't be read.
local function stateBy(id)
  local back, gone = false, false
  for n = 0, num(id, 'nrcpt') - 1 do
    local r = result(id, n)
    if r.unread then return nil end
    if r.o == 'pending' then return 'held' end
    if r.o == 'recalled' or r.c == true then back = true else gone = true end
  end
  if back and gone then return ended(id) end
  return back and 'recalled' or gone and 'released' or nil
end
-- known gives a hold the state that its results say. One that waits is parked, so that a person decides.
local function known(id, is, wrong)
  unread(id)
  set(id, 'state', is)
  if is == 'held' then
    set(id, 'cut', 1) -- it might have been on its way
    return parkDamaged(id, wrong)
  end
  unset(id, 'parked')
  for _, st in ipairs({'held', 'releasing'}) do redis.call('ZREM', P .. 'z:' .. st, id) end
  place(id, is, recordTime)
end
local function one(id)
  if type(P .. 'h:' .. id) ~= 'hash' then return end
  local state, waiting = get(id, 'state'), nil
  local wrong, parked = damage(holdOf(id)), get(id, 'parked')
  local is = state and not states[state] and get(id, 'held_at') and stateBy(id)
  if is then
    fault(id, 'its record is damaged: ' .. wrong, 'it is ' .. is .. ' by the results of its recipients'
      .. (is == 'held' and ', and parked until you release or recall it' or ''), function() known(id, is, wrong) end)
    if not repair then return end
    state, wrong, parked = is, damage(holdOf(id)), get(id, 'parked')
  end
  if wrong and not (parked and states[state]) then
    local fix, how = 'it is parked, and its content stays', function() parkDamaged(id, wrong) end
    if state == 'released' or state == 'recalled' then
      fix, how = 'that leaves the record', function() unread(id) end
    elseif parked and redis.call('ZSCORE', P .. 'z:held', id) then
      fix, how = '', nil
    end
    return fault(id, 'its record is damaged: ' .. wrong, fix, how)
  end
  if not states[state] then return fault(id, 'its record says no state') end
  if not packed(id) and not pcall(cjson.decode, get(id, 'meta') or '') then
    return fault(id, 'its record can not be read')
  end
  waiting = state == 'held' or state == 'releasing'
  local score = redis.call('ZSCORE', P .. 'z:' .. state, id)
  if not score then
    fault(id, 'it is ' .. state .. ', and no loop would meet it', 'it is put where loops look',
      function() place(id, state, recordTime) end)
  elseif state == 'held' and tonumber(score) ~= num(id, 'due') then
    fault(id, 'its record has another due moment than the loop', 'the record counts',
      function() place(id, state, recordTime) end)
  end
  for other in pairs(states) do
    if other ~= state and redis.call('ZSCORE', P .. 'z:' .. other, id) then
      fault(id, 'it is ' .. state .. ', and stands among what is ' .. other, 'it leaves them',
        function() redis.call('ZREM', P .. 'z:' .. other, id) end)
    end
  end
  if state ~= 'released' then pieces(id, state) end
  if waiting and parked then
    fault(id, 'it is parked: ' .. parked .. '; release it to try again, or recall it')
  end
  local missing
  for e in string.gmatch(get(id, 'ix') or '', '%S+') do
    missing = missing or redis.call('SISMEMBER', P .. 'i:' .. e, numberOf(id)) == 0
  end
  if missing then
    fault(id, 'a search by index would miss it', 'it is put into its indexes', function()
      for e in string.gmatch(get(id, 'ix'), '%S+') do redis.call('SADD', P .. 'i:' .. e, numberOf(id)) end
    end)
  end
  local np = 0
  for n = 0, num(id, 'nrcpt') - 1 do
    if result(id, n).unread then fault(id, 'its record is damaged: result ' .. n .. ' can not be read') end
    if pending(id, n) then np = np + 1 end
  end
  if np ~= open(id) then
    fault(id, 'it counts ' .. open(id) .. ' pending recipients, and has ' .. np, 'the counter is set right', function()
      if np == num(id, 'nrcpt') then unset(id, 'np') else set(id, 'np', np) end
    end)
  end
end
every(one)
