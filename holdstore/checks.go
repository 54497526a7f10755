package holdstore

import "fmt"

// largeIndex is how many members of an index set one script looks at.
const largeIndex = 200

// checking makes a script of Fsck. ARGV: 1 to repair, content ms, record ms, a word for the check, names...
// Output: {{name, what is wrong, what mends it or ""}...}
func checking(body string) string {
	return `
local repair, contentTime, recordTime, word = ARGV[1] == '1', ARGV[2], ARGV[3], ARGV[4]
local faults = {}
local function fault(name, what, mend, how)
  faults[#faults + 1] = {name, what, mend or ''}
  if repair and how then how() end
end
local function type(key) return redis.call('TYPE', key).ok end
local function listed(id, entry)
  return type(P .. 'h:' .. id) == 'hash' and string.find(' ' .. (get(id, 'ix') or '') .. ' ', ' ' .. entry .. ' ', 1, true)
end
local function unlist(entry, id)
  if redis.call('ZSCORE', P .. 'i:' .. entry, id) and not listed(id, entry) then
    fault('index ' .. entry .. ': ' .. id, 'it stands there, and its record does not say so', 'it leaves the index',
      function() redis.call('ZREM', P .. 'i:' .. entry, id) end)
  end
end
` + body + `
return faults
`
}

// checkHoldScript looks at records. Names: hold IDs.
var checkHoldScript = drain(checking(`
local states = {held = true, releasing = true, released = true, recalled = true}
local function place(id, state)
  local score = num(id, 'due')
  if state == 'releasing' then score = now end
  if state == 'released' or state == 'recalled' then score = now + recordTime end
  redis.call('ZADD', P .. 'z:' .. state, int(score), id)
end
local function pieces(id, state)
  each(id, function(key)
    local left = redis.call('PTTL', key)
    if state == 'recalled' then
      if left == -1 then
        fault(id, 'its content stays for ever, although it is recalled', 'it expires', function() redis.call('PEXPIRE', key, contentTime) end)
      end
    elseif left == -2 then
      fault(id, 'a piece of its content is missing, and so it can not be sent: ' .. string.sub(key, #P + 1))
    elseif left >= 0 then
      fault(id, 'its content would expire, although it waits', 'it stays', function() redis.call('PERSIST', key) end)
    end
  end)
end
local function one(id)
  if type(P .. 'h:' .. id) ~= 'hash' then return end
  local state, waiting = get(id, 'state'), nil
  if not states[state] then return fault(id, 'its record says no state') end
  if not pcall(cjson.decode, get(id, 'meta') or '') then return fault(id, 'its record can not be read') end
  waiting = state == 'held' or state == 'releasing'
  local score = redis.call('ZSCORE', P .. 'z:' .. state, id)
  if not score then
    fault(id, 'it is ' .. state .. ', and no loop would meet it', 'it is put where loops look', function() place(id, state) end)
  elseif state == 'held' and tonumber(score) ~= num(id, 'due') then
    fault(id, 'its record has another due moment than the loop', 'the record counts', function() place(id, state) end)
  end
  for other in pairs(states) do
    if other ~= state and redis.call('ZSCORE', P .. 'z:' .. other, id) then
      fault(id, 'it is ' .. state .. ', and stands among what is ' .. other, 'it leaves them', function() redis.call('ZREM', P .. 'z:' .. other, id) end)
    end
  end
  if state ~= 'released' then pieces(id, state) end
  if waiting and get(id, 'parked') then
    fault(id, 'it is parked: a defect of the daemon has ended each attempt to send it: ' .. get(id, 'parked') .. '; recallctl release ' .. id .. ' tries again')
  end
  local missing
  for e in string.gmatch(get(id, 'ix') or '', '%S+') do missing = missing or not redis.call('ZSCORE', P .. 'i:' .. e, id) end
  if missing then
    fault(id, 'a search by index would miss it', 'it is put into its indexes', function()
      for e in string.gmatch(get(id, 'ix'), '%S+') do redis.call('ZADD', P .. 'i:' .. e, get(id, 'held_at'), id) end
    end)
  end
  local np = 0
  for n = 0, num(id, 'nrcpt') - 1 do if pending(id, n) then np = np + 1 end end
  if np ~= open(id) then
    fault(id, 'it counts ' .. open(id) .. ' pending recipients, and has ' .. np, 'the counter is set right', function()
      if np == num(id, 'nrcpt') then redis.call('HDEL', P .. 'h:' .. id, 'np') else set(id, 'np', np) end
    end)
  end
end
for i = 5, #ARGV do one(ARGV[i]) end
`))

// checkSetScript looks at members of a set, which word names. Names: hold IDs, or jobs.
var checkSetScript = drain(lanes + checking(`
for i = 5, #ARGV do
  local id = ARGV[i]
  if redis.call('ZSCORE', P .. word, id) then
    local function leave() redis.call('ZREM', P .. word, id) end
    if word == 'jobs' then
      local parked = redis.call('HGET', P .. 'j:' .. id, 'parked')
      if parked then
        fault('job ' .. id, 'it is parked: a defect of the daemon has ended each attempt: ' .. parked, 'it is tried again', function()
          redis.call('HDEL', P .. 'j:' .. id, 'parked', 'defects')
          unpark(id)
        end)
      end
      if redis.call('EXISTS', P .. 'j:' .. id) == 0 then fault('job ' .. id, 'it is due, and there is nothing to do', 'it is dropped', leave) end
    elseif redis.call('EXISTS', P .. 'h:' .. id) == 0 then
      fault(id, 'it stands in ' .. word .. ', and has no record', 'it leaves the set', leave)
    end
  end
end
`))

// checkIndexScript looks at index sets, unless they are large. Names: entries.
var checkIndexScript = drain(checking(`
for i = 5, #ARGV do
  local e = ARGV[i]
  if type(P .. 'i:' .. e) == 'zset' and redis.call('ZCARD', P .. 'i:' .. e) <= ` + fmt.Sprint(largeIndex) + ` then
    for _, id in ipairs(redis.call('ZRANGE', P .. 'i:' .. e, 0, -1)) do unlist(e, id) end
  end
end
`))

// checkMembersScript looks at members of one index set, which word names. Names: hold IDs.
var checkMembersScript = drain(checking(`
for i = 5, #ARGV do unlist(word, ARGV[i]) end
`))

// checkPieceScript looks at pieces of content. Names: ID:NONCE:n. A piece that is still to be committed expires by itself.
var checkPieceScript = drain(checking(`
for i = 5, #ARGV do
  local id, nonce, n = string.match(ARGV[i], '^([^:]*):([^:]*):(%d+)$')
  local key = P .. 'b:' .. ARGV[i]
  local state = id and get(id, 'state')
  local belongs = state and state ~= 'released' and get(id, 'nonce') == nonce and tonumber(n) < num(id, 'chunks')
  if not belongs and redis.call('PTTL', key) == -1 then
    fault(ARGV[i], 'it belongs to no message, and stays for ever', 'it expires', function() redis.call('PEXPIRE', key, contentTime) end)
  end
end
`))

// checkJobScript looks at jobs. Names: their IDs. One that is done is known for a while, and then expires.
var checkJobScript = drain(lanes + checking(`
for i = 5, #ARGV do
  local key = P .. 'j:' .. ARGV[i]
  if not redis.call('ZSCORE', lane(ARGV[i]), ARGV[i]) and not redis.call('ZSCORE', P .. 'jobs', ARGV[i]) and redis.call('PTTL', key) == -1 then
    if redis.call('HEXISTS', key, 'data') == 1 then
      fault(ARGV[i], 'nobody would do it', 'it is due now', function() dueAt(ARGV[i], now) end)
    else
      fault(ARGV[i], 'it is done, and is known for ever', 'it expires', function() redis.call('PEXPIRE', key, recordTime) end)
    end
  end
end
`))

// checkTimeScript looks at keys that must expire. Names: behind what word says they begin with.
var checkTimeScript = drain(checking(`
for i = 5, #ARGV do
  local key = P .. word .. ARGV[i]
  if redis.call('PTTL', key) == -1 then
    fault(ARGV[i], 'it stays for ever', 'it expires', function() redis.call('PEXPIRE', key, recordTime) end)
  end
end
`))
