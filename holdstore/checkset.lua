-- Looks at members of a set, which word names.
--
-- KEYS: as lib
-- ARGV: see check; names are hold IDs, jobs, or shelves
-- Returns: see check
every(function(id)
  if redis.call('ZSCORE', P .. word, id) then
    local function leave() redis.call('ZREM', P .. word, id) end
    if word == 'jobs' then
      local parked = redis.call('HGET', P .. 'j:' .. id, 'parked')
      if parked then
        local what = 'it is parked: ' .. parked
        fault('job ' .. id, what, 'it is tried again', function()
          redis.call('HDEL', P .. 'j:' .. id, 'parked', 'defects')
          unpark(id)
        end)
      end
      if redis.call('EXISTS', P .. 'j:' .. id) == 0 then
        fault('job ' .. id, 'it is due, and there is nothing to do', 'it is dropped', leave)
      end
    elseif word == 'ends' then
      if redis.call('EXISTS', P .. 'r:' .. id) == 0 then
        fault('key r:' .. id, 'its records would end, and it has none', 'it leaves the set', leave)
      end
    elseif redis.call('EXISTS', P .. 'h:' .. id) == 0 then
      local what = 'it stands in ' .. word .. ', and has no record'
      if shelved(id) then what = 'it is released, and stands among what is ' .. string.sub(word, 3) end
      fault(id, what, 'it leaves the set', leave)
    end
  end
end)
