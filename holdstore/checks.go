package holdstore

import "fmt"

// largeIndex is how many members of an index set one script looks at.
const largeIndex = 200

// checking makes a script of Fsck. ARGV: 1 to repair, content ms, record ms, a word for the check, names...
// Output: {{name, what is wrong, what repairs it or ""}...}
func checking(body string) string { return lua("check") + body + "\nreturn faults\n" }

// checkHoldScript looks at records. Names: hold IDs.
var checkHoldScript = drain(checking(lua("checkhold")))

// checkSetScript looks at members of a set, which word names. Names: hold IDs, or jobs.
var checkSetScript = drain(lanes + checking(lua("checkset")))

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

// checkPieceScript looks at pieces of content. Names: ID:NONCE:n. A piece that is still to be committed expires by
// itself.
var checkPieceScript = drain(checking(`
for i = 5, #ARGV do
  local id, nonce, n = string.match(ARGV[i], '^([^:]*):([^:]*):(%d+)$')
  local key = P .. 'b:' .. ARGV[i]
  local state = id and get(id, 'state')
  local belongs = state and state ~= 'released' and get(id, 'nonce') == nonce and tonumber(n) < num(id, 'chunks')
  if not belongs and redis.call('PTTL', key) == -1 then
    fault(ARGV[i], 'it belongs to no message, and stays for ever', 'it expires',
      function() redis.call('PEXPIRE', key, contentTime) end)
  end
end
`))

// checkJobScript looks at jobs. Names: their IDs. One that is done is known for a while, and then expires.
var checkJobScript = drain(lanes + checking(`
for i = 5, #ARGV do
  local key = P .. 'j:' .. ARGV[i]
  local waits = redis.call('ZSCORE', lane(ARGV[i]), ARGV[i]) or redis.call('ZSCORE', P .. 'jobs', ARGV[i])
  if not waits and redis.call('PTTL', key) == -1 then
    if redis.call('HEXISTS', key, 'data') == 1 then
      fault(ARGV[i], 'nobody would do it', 'it is due now', function() dueAt(ARGV[i], now) end)
    else
      fault(ARGV[i], 'it is done, and is known for ever', 'it expires',
        function() redis.call('PEXPIRE', key, recordTime) end)
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
