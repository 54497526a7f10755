-- Looks at shelves.
--
-- KEYS: as lib
-- ARGV: see check; names are what the IDs of a shelf's records begin with
-- Returns: see check
--
-- record looks at one record of a shelf, and returns when it ends.
local function record(id, key, field, value)
  if redis.call('HEXISTS', P .. 'h:' .. id, 'p') == 1 then
    fault(id, 'it has a record of its own, and one in a shared hash', 'its own counts',
      function() unshelve(key, field) end)
    return repair and math.huge or endOf(value)
  end
  local fine, o = pcall(opened, id, value)
  if not fine then
    fault(id, 'its record can not be read')
    return endOf(value)
  end
  local missing
  for e in string.gmatch(o.ix, '%S+') do
    missing = missing or redis.call('SISMEMBER', P .. 'i:' .. e, numberOf(id)) == 0
  end
  if missing then
    fault(id, 'a search by index would miss it', 'it is put into its indexes', function()
      for e in string.gmatch(o.ix, '%S+') do redis.call('SADD', P .. 'i:' .. e, numberOf(id)) end
    end)
  end
  return endOf(value)
end
every(function(shelf)
  local key, first = P .. 'r:' .. shelf, math.huge
  local flat = redis.call('HGETALL', key)
  for i = 1, #flat, 2 do first = math.min(first, record(shelf .. flat[i], key, flat[i], flat[i + 1])) end
  if first < (firstEnd(key) or math.huge) then
    fault('key r:' .. shelf, 'its records would stay for too long', 'they go when they end',
      function() endsFirst(key, first) end)
  end
end)
