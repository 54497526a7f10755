package holdstore

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/recall-milter/recall-milter/holdstore/internal/nodes"
)

// Messages that end at the same moment are committed together, in one transaction: Redis syncs once for all of them.
const (
	batchMost  = 32              // holds of one batch: others wait a millisecond for it
	batchBytes = 1 << 20         // in one batch: it ends with the message that passes this
	entryBytes = 256             // what an index entry counts as: a message may have thousands
	batchGoes  = 2               // batches of a shard on their way at a time
	batchCrowd = 8               // see convoy
	batchTime  = nodes.IOTimeout // for the reply
	clockTries = 3
)

// commit is one hold on its way into a batch.
type commit struct {
	id, nonce string
	grace     time.Duration
	record    string   // field p without the moment
	entries   []string // of the index
	piece     string   // name of the one piece of a small message, which is sent with it; or "": its pieces are staged
	content   []byte
	args      []any // of the commit script

	row  any // the script's answer
	held time.Time
}

func (s *Store) commits(at nodes.Shard) *convoy[*commit] {
	full := func(batch []*commit) bool {
		bytes := 0
		for _, c := range batch {
			bytes += len(c.content) + entryBytes*len(c.entries)
		}
		return bytes >= batchBytes
	}
	return &convoy[*commit]{most: batchMost, goes: batchGoes, crowd: batchCrowd, full: full, send: func(batch []*commit) error {
		return s.nodes.Guard("the storing of a batch of messages", func() error { return s.commitAll(at, batch) })
	}}
}

// commit sends a hold with the next batch of its shard, and fills in the script's answer for it.
func (s *Store) commit(ctx context.Context, at nodes.Shard, c *commit) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%w: %w", nodes.ErrNotSent, err)
	}
	if err := s.lines[at].do(ctx, &s.work, c); err != nil {
		if s.lines[at].leave(c) {
			return fmt.Errorf("%w: %w", nodes.ErrNotSent, err)
		}
		return err
	}
	return nil
}

// commitAll commits a batch. Confirmations that wait go with it.
func (s *Store) commitAll(at nodes.Shard, batch []*commit) (err error) {
	confirmed, fresh := s.confirmed.take(at, confirmBatch)
	err = ErrDefect // after a panic the confirmations wait again
	defer func() { s.confirmed.back(at, fresh, err) }()
	err = s.sendBatch(at, batch, confirmed)
	return err
}

// sendBatch commits a batch, and fills in each commit's answer.
func (s *Store) sendBatch(at nodes.Shard, batch []*commit, confirmed []confirmation) error {
	ctx, cancel := context.WithTimeout(context.Background(), batchTime)
	defer cancel()
	for range clockTries {
		moment, err := s.time(ctx, at)
		if err != nil {
			return fmt.Errorf("%w: %w", nodes.ErrNotSent, err)
		}
		sent := time.Now()
		rows, err := s.nodes.Together(ctx, at, s.batchCommands(ctx, at, batch, confirmed, moment))
		if err != nil {
			return err
		}
		if len(rows) == 0 {
			return nodes.ErrHalfDone
		}
		told, _ := rows[0].(int64)
		if s.clocks[at].learn(sent, time.UnixMilli(max(told, -told))); told < 0 {
			continue // nothing was done
		}
		if len(rows) != len(batch)+1 {
			return fmt.Errorf("%w: it answered %d times for %d holds", nodes.ErrHalfDone, len(rows), len(batch))
		}
		for n, c := range batch {
			c.row, c.held = rows[n+1], moment
		}
		return nil
	}
	return fmt.Errorf("%w: the clock of redis leaps", nodes.ErrNotSent)
}

// time is what time it is for the server of a shard.
func (s *Store) time(ctx context.Context, at nodes.Shard) (time.Time, error) {
	if now, ok := s.clocks[at].now(); ok {
		return now, nil
	}
	node, err := s.nodes.Node(ctx, at)
	if err != nil {
		return time.Time{}, err
	}
	sent := time.Now()
	told, err := node.Time(ctx).Result()
	if err != nil {
		return time.Time{}, err
	}
	s.clocks[at].learn(sent, told)
	now, _ := s.clocks[at].now()
	return now, nil
}

// batchCommands are the commands of a transaction that makes holds. Redis reads plain commands faster than a script's arguments, so the
// script decides, and they write. They overwrite nothing: what the script forbids, it takes away again in the same step.
func (s *Store) batchCommands(ctx context.Context, at nodes.Shard, batch []*commit, confirmed []confirmation, moment time.Time) (cmds []redis.Cmder) {
	add := func(args ...any) { cmds = append(cmds, redis.NewCmd(ctx, args...)) }
	now := strconv.FormatInt(moment.UnixMilli(), 10)
	look := []any{"EVAL", takenScript, 1, string(at)}
	commit := []any{"EVAL", commitScript, 1, string(at), now, unconfirmedFor.Milliseconds(), s.opt.RecallRetention.Milliseconds(), s.recordTime().Milliseconds()}
	commit = append(commit, s.quota(at)...)
	commit = append(commit, confirmArgs(confirmed)...)
	index := map[string][]any{}
	for _, c := range batch {
		look = append(look, c.id)
		commit = append(commit, c.id, c.nonce, moment.Add(c.grace).UnixMilli())
		commit = append(commit, c.args...)
		for _, entry := range c.entries {
			index[entry] = append(index[entry], now, c.id)
		}
	}
	add(look...)
	for _, c := range batch {
		if c.piece != "" {
			add("SET", c.piece, c.content)
		}
		add("HSETNX", holdKey(at, c.id), "p", s.seal.Signed(c.id, now+c.record))
	}
	for entry, members := range index {
		add(append([]any{"ZADD", indexKey(at, entry), "NX"}, members...)...)
	}
	add(commit...)
	return cmds
}

// clockMost is how far a hold's moment may be from Redis's time: what comes later nobody waits for any more.
const clockMost = batchTime

// takenScript marks the IDs that others have, for the commit script behind it. ARGV: ids.
const takenScript = "#!lua flags=allow-oom\n" + `
local names = {}
for i, id in ipairs(ARGV) do names[i] = KEYS[1] .. 'h:' .. id end
if redis.call('EXISTS', unpack(names)) > 0 then
  for i, id in ipairs(ARGV) do
    if redis.call('EXISTS', names[i]) == 1 then redis.call('SET', KEYS[1] .. 'x:' .. id, 'taken', 'PX', 60000) end
  end
end
`

// commitScript ends a transaction that makes holds: it takes away what may not be, and lists what stays. What is the same for all
// of them is done in one command for all: a command costs Redis more than what it does.
// ARGV: the moment of all, how long a message is unconfirmed, content ms, record ms, bytes and messages of one owner; what confirming
// wants; then of each hold: id, nonce, due, fingerprint, size, pieces that are staged (0: its only piece came just before), what it
// replaces or "", index entries, owner or "", bytes of content and of record.
// Output: Redis's time, and for each 1; or {id, held_at, due} of the first one of the same content; or "fenced", "taken", "missing",
// "quota", and nothing was done. When the moment is far from Redis's time nothing is done either, and the time is negative.
var commitScript = "#!lua flags=allow-oom\nlocal P = KEYS[1]\n" + moves + confirming + replacing + `
local from = 8 + 2 * ARGV[7]
local function along(a) return ARGV[a + 5] == '0' end
local function pieces(a) return P .. 'b:' .. ARGV[a] .. ':' .. ARGV[a + 1] .. ':' end
-- undo takes away what this transaction made of a hold; a piece that is staged expires by itself.
local function undo(a)
  local id = ARGV[a]
  local taken = redis.call('GET', P .. 'x:' .. id) == 'taken'
  if taken then drop(P .. 'x:' .. id) end
  if taken and get(id, 'nonce') == ARGV[a + 1] then return end -- this very hold was made before
  if along(a) then drop(pieces(a) .. 0) end
  if not taken then return erase(id, true) end
  local theirs = ' ' .. (get(id, 'ix') or '') .. ' '
  for e in string.gmatch(ARGV[a + 7], '%S+') do
    if not string.find(theirs, ' ' .. e .. ' ', 1, true) then redis.call('ZREM', P .. 'i:' .. e, id) end
  end
end
local function nothing() for a = from, #ARGV, 11 do undo(a) end end
local schema = redis.call('GET', P .. 'schema') or 'none'
if string.sub(schema, 1, #'` + nodes.Checked + `') ~= '` + nodes.Checked + `' then
  nothing()
  return redis.error_reply('SCHEMA ' .. schema)
end
if math.abs(now - ARGV[1]) > ` + fmt.Sprint(clockMost.Milliseconds()) + ` then
  nothing()
  return {-now}
end
confirm(7)
local names, prints = {}, {}
for a = from, #ARGV, 11 do names[#names + 1], prints[#prints + 1] = P .. 'x:' .. ARGV[a], ARGV[a + 3] end
local marked = redis.call('EXISTS', unpack(names)) > 0
local others = redis.call('HMGET', P .. 'u', unpack(prints))
local rows, held, unsure, fresh, replaces, bytes = {now}, {}, {}, {}, {}, 0
local first, hasty = soonest(), nil
local function known(id)
  -- Somebody relies on the first one from now on: its own fence may no longer delete it.
  set(id, 'relied', 1)
  return {id, get(id, 'held_at'), get(id, 'due')}
end
local function again(id) return id and now < num(id, 'held_at') + ARGV[2] and known(id) end
-- keep makes staged pieces stay; false: one is missing.
local function keep(piece, chunks)
  for n = 0, chunks - 1 do
    if redis.call('PERSIST', piece .. n) == 0 then
      for m = 0, n - 1 do redis.call('PEXPIRE', piece .. m, ARGV[3]) end
      return false
    end
  end
  return true
end
local owners = {}
local function charge(a, n)
  local o, content, record = owners[ARGV[a + 8]], ARGV[a + 9], ARGV[a + 10]
  if o then o.dn, o.db, o.dr = o.dn + n, o.db + n * (content + record), o.dr + n * record end
end
-- over says whether a hold is more than its owner may have, and charges it otherwise. A client that nobody has logged in at may
-- have twice as much: it may be a whole office.
local function over(a)
  local owner, content, record = ARGV[a + 8], ARGV[a + 9], ARGV[a + 10]
  if owner == '' then return false end
  local o = owners[owner]
  if not o then
    local f = redis.call('HMGET', P .. 'own', owner .. ':n', owner .. ':b')
    o = {n = tonumber(f[1] or 0), b = tonumber(f[2] or 0), dn = 0, db = 0, dr = 0}
    owners[owner] = o
  end
  local times = string.sub(owner, 1, 1) == 'c' and 2 or 1
  if o.n + o.dn >= ARGV[6] * times or o.b + o.db + content + record > ARGV[5] * times then return true end
  charge(a, 1)
  return false
end
-- refusal says why there can be no such hold.
local function refusal(a, other)
  local id = ARGV[a]
  local mark = marked and redis.call('GET', P .. 'x:' .. id)
  if mark == 'taken' then return other == id and known(id) or mark end
  if mark then return 'fenced' end
  local first = again(fresh[ARGV[a + 3]] or other)
  if first then return first end
  if over(a) then return 'quota' end
  if along(a) or keep(pieces(a), ARGV[a + 5]) then return nil end
  charge(a, -1)
  return 'missing'
end
local function commit(a, other)
  local row = refusal(a, other)
  if row then
    undo(a)
    return row
  end
  local id, due, print = ARGV[a], ARGV[a + 2], ARGV[a + 3]
  held[#held + 1], held[#held + 2] = due, id
  unsure[#unsure + 1], unsure[#unsure + 2] = print, id
  fresh[print], bytes = id, bytes + ARGV[a + 4]
  if ARGV[a + 8] ~= '' then set(id, 'o', table.concat({ARGV[a + 8], ARGV[a + 9], ARGV[a + 10]}, ' ')) end
  if tonumber(due) < first then first, hasty = tonumber(due), due end
  if ARGV[a + 6] ~= '' then replaces[id] = cjson.decode(ARGV[a + 6]) end
  return 1
end
for a = from, #ARGV, 11 do rows[#rows + 1] = commit(a, others[#rows]) end
if #held > 0 then
  redis.call('ZADD', P .. 'z:held', unpack(held))
  redis.call('HSET', P .. 'u', unpack(unsure))
  redis.call('INCRBY', P .. 'bytes', int(bytes))
  aged(ageAt(ARGV[1]), int(#held / 2))
  if redis.call('HGET', P .. 'own', 'room') ~= ARGV[5] then redis.call('HSET', P .. 'own', 'room', ARGV[5]) end
  for owner, o in pairs(owners) do
    own(owner .. ':n', o.dn)
    own(owner .. ':b', o.db)
    own(owner .. ':r', o.dr)
  end
end
if hasty then redis.call('PUBLISH', P .. 'wake', hasty) end
for id, what in pairs(replaces) do replace(id, what, ARGV[3], ARGV[4]) end
return rows
`
