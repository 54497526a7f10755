package holdstore

import "fmt"

// largeIndex is how many members of an index set one script looks at.
const largeIndex = 200

// checking makes a script of Fsck. ARGV: 1 to repair, content ms, record ms, a word for the check, names...
// Output: {{name, what is wrong, what repairs it or ""}...}
func checking(body string) string { return lua("check") + body + "\nreturn faults\n" }

// checkHoldScript looks at records. Names: hold IDs.
var checkHoldScript = drain(checking(lua("checkhold")))

// checkShelfScript looks at shelves. Names: what the IDs of their records begin with.
var checkShelfScript = drain(checking(lua("checkshelf")))

// checkSetScript looks at members of a set, which word names. Names: hold IDs, or jobs.
var checkSetScript = drain(lanes + checking(lua("checkset")))

// checkIndexScript looks at index sets, unless they are large. Names: entries.
var checkIndexScript = drain(checking(`
every(function(e)
  if redis.call('SCARD', P .. 'i:' .. e) <= ` + fmt.Sprint(largeIndex) + ` then
    for _, member in ipairs(redis.call('SMEMBERS', P .. 'i:' .. e)) do unlist(e, member) end
  end
end)
`))

// checkMembersScript looks at members of one index set, which word names. Names: members.
var checkMembersScript = drain(checking(`
every(function(member) unlist(word, member) end)
`))

// checkPieceScript looks at pieces of content. Names: ID:NONCE:n. A piece that is still to be committed expires by
// itself.
var checkPieceScript = drain(checking(`
every(function(name)
  local id, nonce, n = string.match(name, '^([^:]*):([^:]*):(%d+)$')
  local key = P .. 'b:' .. name
  local state = id and get(id, 'state')
  local belongs = state and state ~= 'released' and get(id, 'nonce') == nonce and tonumber(n) < num(id, 'chunks')
  if id and (redis.call('EXISTS', P .. 'aside:h:' .. id) == 1 or
    type(P .. 'h:' .. id) == 'hash' and not get(id, 'nonce'))
  then return end -- its record is damaged, and nobody knows what belongs to it
  if not belongs and redis.call('PTTL', key) == -1 then
    fault(name, 'it belongs to no message, and stays forever', 'it expires',
      function() redis.call('PEXPIRE', key, contentTime) end)
  end
end)
`))

// checkJobScript looks at jobs. Names: their IDs. One that is done is known for a while, and then expires.
var checkJobScript = drain(lanes + checking(`
every(function(id)
  local key = P .. 'j:' .. id
  local waits = redis.call('ZSCORE', lane(id), id) or redis.call('ZSCORE', P .. 'jobs', id)
  if not waits and redis.call('PTTL', key) == -1 then
    if redis.call('HEXISTS', key, 'data') == 1 then
      fault(id, 'nobody would do it', 'it is due now', function() dueAt(id, now) end)
    else
      fault(id, 'it is done, and is known forever', 'it expires',
        function() redis.call('PEXPIRE', key, recordTime) end)
    end
  end
end)
`))

// checkTimeScript looks at keys that must expire. Names: behind what word says they begin with.
var checkTimeScript = drain(checking(`
every(function(name)
  local key = P .. word .. name
  if redis.call('PTTL', key) == -1 then
    fault(name, 'it stays forever', 'it expires', function() redis.call('PEXPIRE', key, recordTime) end)
  end
end)
`))

// checkTypeScript looks for keys of another type than word says. Names: as they are behind the shard.
var checkTypeScript = drain(checking(`
every(function(name)
  local is = type(P .. name)
  if is ~= 'none' and is ~= word then
    fault('key ' .. name, 'it is a ' .. is .. ', and should be a ' .. word, 'it is renamed to aside:' .. name,
      function() setAside(P .. name) end)
  end
end)
`))

// checkAsideScript looks at keys that were set aside. Names: behind "aside:".
var checkAsideScript = drain(checking(`
every(function(name)
  local what = 'key ' .. P .. 'aside:' .. name
  if type(P .. 'aside:' .. name) ~= 'none' then
    fault(what, 'it was set aside, since it was of a type that nothing can use: look at it with redis-cli TYPE, ' ..
      'restore it from a copy of the store, or delete it with redis-cli DEL')
  end
end)
`))
