-- Looks at members of a set, which word names.
--
-- KEYS: as lib
-- ARGV: see check; names are hold IDs, or jobs
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
    elseif redis.call('EXISTS', P .. 'h:' .. id) == 0 then
      fault(id, 'it stands in ' .. word .. ', and has no record', 'it leaves the set', leave)
    end
  end
end)
