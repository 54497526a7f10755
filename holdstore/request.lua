-- Notes that gateways are asked to take a message back, and adds the jobs that do it.
--
-- KEYS: as lib
-- ARGV: id, event, by, from, reason, ms until the report, record ms, kinds of the two jobs, ms that later news are
--   gathered for, data of the report, then of each request its JSON, what is kept of it, and ID and data of its job
-- Returns: "ok", "none", "late" (not released yet), or "asked already"
local id, state, asked = ARGV[1], get(ARGV[1], 'state'), false
if not state then return 'none' end
if state ~= 'released' then return state == 'recalled' and state or 'late' end
for i = 12, #ARGV, 4 do
  local a, fresh = cjson.decode(ARGV[i]), false
  for _, n in ipairs(a.r) do
    local r = result(id, n)
    if r.o == 'sent' then
      set(id, 'r' .. n, cjson.encode({o = 'requested', d = r.d, k = r.k, t = now}))
      fresh = true
    end
  end
  if fresh then
    asked = true
    redis.call('SET', P .. 'rq:' .. a.q, ARGV[i + 1], 'PX', ARGV[7])
    addJob(ARGV[i + 2], ARGV[8], ARGV[i + 3], now)
  end
end
if not asked then return 'asked already' end
redis.call('HDEL', P .. 'j:report:' .. id, 'done', 'ended')
reportAt(id, ARGV[9], ARGV[11], now + ARGV[6], 'GT')
redis.call('HSET', P .. 'j:report:' .. id, 'gather', ARGV[10])
redis.call('ZADD', P .. 'z:released', 'GT', int(now + ARGV[7]), id)
note(id, ARGV[2])
audit(id, 'ask', ARGV[3], ARGV[4], ARGV[5], '')
return 'ok'
