-- How a check tells what is wrong, and repairs it.
--
-- KEYS: as lib
-- ARGV: 1 to repair, content ms, record ms, a word for the check, names...
-- Returns: the check returns {{name, what is wrong, what repairs it or ""}...}
local repair, contentTime, recordTime, word = ARGV[1] == '1', ARGV[2], ARGV[3], ARGV[4]
heal = repair
local faults = {}
local function fault(name, what, fix, how)
  faults[#faults + 1] = {name, what, fix or ''}
  if repair and how then how() end
end
local function type(key) return redis.call('TYPE', key).ok end
-- every calls one with each name. What can't be looked at is a fault of its own.
local function every(one)
  for i = 5, #ARGV do
    local fine, why = pcall(one, ARGV[i])
    if kind(why) == 'table' then why = why.err end
    if not fine and string.sub(why, 1, 9) ~= 'WRONGTYPE' then fault(ARGV[i], 'it can not be looked at: ' .. why) end
  end
end
local function listed(id, entry)
  local entries = ' ' .. (get(id, 'ix') or '') .. ' '
  return string.find(entries, ' ' .. entry .. ' ', 1, true)
end
-- unlist looks at a member of an index entry: the number of an ID.
local function unlist(entry, member)
  local id = idOf(member)
  if redis.call('SISMEMBER', P .. 'i:' .. entry, member) == 1 and not listed(id, entry) then
    fault('index ' .. entry .. ': ' .. id, 'it stands there, and its record does not say so', 'it leaves the index',
      function() redis.call('SREM', P .. 'i:' .. entry, member) end)
  end
end
