-- Notes who has written to whom. A bucket with more than MOST forgets what is too old, and then the oldest of the
-- person who has most in it, so that whoever writes to very many pushes out themselves. Days are numbers since 1970.
--
-- KEYS: shard
-- ARGV: today, days to keep, then for each pair: the name of its bucket, its field, and a day
-- Returns: "OK"
local at, today, keep = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2])
local grown, first = {}, today
for n = 3, #ARGV, 3 do
  local key, day = at .. ARGV[n], tonumber(ARGV[n + 2])
  local had = tonumber(redis.call('HGET', key, ARGV[n + 1]) or -1)
  if day > had and day >= today - keep then
    redis.call('HSET', key, ARGV[n + 1], day)
    redis.call('EXPIRE', key, (keep + 1) * 86400)
    if had < 0 and redis.call('HLEN', key) > MOST then grown[key] = true end
    if day < first then first = day end
  end
end
if first < tonumber(redis.call('GET', at .. 'cosince') or first + 1) then redis.call('SET', at .. 'cosince', first) end

local function oldest(all, persons)
  local worst, most = nil, 0
  for person, n in pairs(persons) do
    if n > most or n == most and worst and person < worst then worst, most = person, n end
  end
  local found, day = nil, nil
  for n = 1, #all, 2 do
    local d = tonumber(all[n + 1])
    if all[n] and string.sub(all[n], 1, PERSON) == worst and (not day or d < day) then found, day = n, d end
  end
  return found, worst
end

for key in pairs(grown) do
  local all, count, persons, gone = redis.call('HGETALL', key), 0, {}, {}
  for n = 1, #all, 2 do
    if tonumber(all[n + 1]) < today - keep then
      gone[#gone + 1] = all[n]
      all[n] = false
    else
      local person = string.sub(all[n], 1, PERSON)
      persons[person] = (persons[person] or 0) + 1
      count = count + 1
    end
  end
  while count > MOST do
    local n, person = oldest(all, persons)
    gone[#gone + 1] = all[n]
    all[n] = false
    persons[person] = persons[person] - 1
    count = count - 1
  end
  for _, field in ipairs(gone) do redis.call('HDEL', key, field) end
end
return 'OK'
