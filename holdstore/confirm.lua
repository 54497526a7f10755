-- Forgets the fingerprints of confirmed holds.
--
-- KEYS: as lib
-- ARGV: from some place on: how many, and of each its fingerprint and ID
-- Returns: nothing; defines confirm(place), which returns where the next argument is
local function confirm(at)
  local prints, ids, gone = {}, {}, {}
  local last = at + 2 * ARGV[at]
  for i = at + 1, last, 2 do prints[#prints + 1], ids[#ids + 1] = ARGV[i], ARGV[i + 1] end
  if #prints > 0 then
    for n, id in ipairs(redis.call('HMGET', P .. 'u', unpack(prints))) do
      if id == ids[n] then gone[#gone + 1] = prints[n] end
    end
  end
  if #gone > 0 then redis.call('HDEL', P .. 'u', unpack(gone)) end
  return last + 1
end
