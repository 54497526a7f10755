package holdstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// Messages that end at the same moment are committed together, in one transaction: Redis syncs once for all of them.
// What comes while two batches are on their way goes with the next one; on a quiet gateway nobody waits for others.
const (
	batchMost    = 32        // holds of one batch: others wait a millisecond for it
	batchBytes   = 1 << 20   // of content in one batch: it ends with the message that passes this
	batchFlights = 2         // batches of a shard on their way at a time
	batchTime    = ioTimeout // for the reply

	busyBatch  = 8 // a batch of so many shows a busy gateway
	gatherTime = time.Millisecond
	gatherLook = gatherTime / 10
	clockTries = 3
)

// errNotSent: the caller had no time to wait until its commit was sent.
var errNotSent = errors.New("it was not sent to redis")

// errHalfDone: some commands of a transaction were done, and one was not. What was made of a hold is to be fenced off.
var errHalfDone = errors.New("redis refused one command of a transaction")

// commit is one hold on its way into a batch.
type commit struct {
	id, nonce string
	grace     time.Duration
	record    string   // field p without the moment
	entries   []string // of the index
	piece     string   // name of the one piece of a small message, which is sent with it; or "": its pieces are staged
	content   []byte
	args      []any // of the commit script

	sent bool // guarded by the line's mutex
	done chan struct{}
	row  any // the script's answer
	held time.Time
	err  error
}

// line are the commits of one shard that wait for the next batch.
type line struct {
	mu      sync.Mutex
	waiting []*commit
	flights int
	clock   *time.Duration // how far Redis's clock is ahead of ours; nil: not known
}

// commit sends a hold with the next batch of its shard, and fills in the script's answer for it.
func (s *Store) commit(ctx context.Context, at keys, c *commit) error {
	l := s.lines[at]
	c.done = make(chan struct{})
	l.mu.Lock()
	l.waiting = append(l.waiting, c)
	if l.flights < batchFlights {
		l.flights++
		s.work.Go(func() { s.fly(at, l) })
	}
	l.mu.Unlock()
	select {
	case <-c.done:
		return c.err
	case <-ctx.Done():
		if l.leave(c) {
			return fmt.Errorf("%w: %w", errNotSent, ctx.Err())
		}
		return ctx.Err()
	}
}

// leave takes a commit out of the line; false: it was sent.
func (l *line) leave(c *commit) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !c.sent {
		l.waiting = slices.DeleteFunc(l.waiting, func(other *commit) bool { return other == c })
	}
	return !c.sent
}

// next takes a batch out of the line; none: this flight has ended.
func (l *line) next() (batch []*commit) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for bytes := 0; len(batch) < min(len(l.waiting), batchMost) && (bytes < batchBytes || len(batch) == 0); {
		c := l.waiting[len(batch)]
		c.sent = true
		bytes += len(c.content)
		batch = append(batch, c)
	}
	l.waiting = slices.Delete(l.waiting, 0, len(batch))
	if len(batch) == 0 {
		l.flights--
	}
	return batch
}

// gather waits a moment until so many wait: a larger batch takes less of Redis for each.
func (l *line) gather(n int) {
	for end := time.Now().Add(gatherTime); time.Now().Before(end) && l.length() < n; {
		time.Sleep(gatherLook)
	}
}

func (l *line) length() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.waiting)
}

// fly sends batches until nobody waits. It does not end with the context of one that waits: the others' outcome counts.
func (s *Store) fly(at keys, l *line) {
	for batch := l.next(); len(batch) > 0; batch = l.next() {
		confirmed := s.confirmed.take(at, confirmBatch)
		err := s.sendBatch(at, l, batch, confirmed)
		if err != nil {
			s.confirmed.again(at, confirmed)
		}
		for _, c := range batch {
			c.err = err
			close(c.done)
		}
		if len(batch) >= busyBatch {
			l.gather(len(batch))
		}
	}
}

// sendBatch commits a batch, and fills in each commit's answer.
func (s *Store) sendBatch(at keys, l *line, batch []*commit, confirmed []confirmation) error {
	ctx, cancel := context.WithTimeout(context.Background(), batchTime)
	defer cancel()
	for range clockTries {
		moment, err := s.clock(ctx, at, l)
		if err != nil {
			return fmt.Errorf("%w: %w", errNotSent, err)
		}
		sent := time.Now()
		rows, err := s.together(ctx, at, s.batchCommands(ctx, at, batch, confirmed, moment))
		if err != nil {
			return err
		}
		if len(rows) == 0 {
			return errHalfDone
		}
		told, _ := rows[0].(int64)
		if l.set(sent, time.UnixMilli(max(told, -told))); told < 0 {
			continue // nothing was done
		}
		if len(rows) != len(batch)+1 {
			return fmt.Errorf("%w: it answered %d times for %d holds", errHalfDone, len(rows), len(batch))
		}
		for n, c := range batch {
			c.row, c.held = rows[n+1], moment
		}
		return nil
	}
	return fmt.Errorf("%w: the clock of redis leaps", errNotSent)
}

// clock tells what time it is by Redis's clock, as far as we know it.
func (s *Store) clock(ctx context.Context, at keys, l *line) (time.Time, error) {
	if l.ahead() == nil {
		node, err := s.node(ctx, at)
		if err != nil {
			return time.Time{}, err
		}
		sent := time.Now()
		told, err := node.Time(ctx).Result()
		if err != nil {
			return time.Time{}, err
		}
		l.set(sent, told)
	}
	return time.Now().Add(*l.ahead()).UTC().Truncate(time.Millisecond), nil
}

func (l *line) ahead() *time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.clock
}

// set keeps how far Redis's clock is ahead of ours: it told its time at some moment between then and now.
func (l *line) set(sent, told time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	least, most := time.Until(told), told.Sub(sent)
	ahead := least
	if l.clock != nil {
		ahead = min(max(*l.clock, least), most)
	}
	l.clock = &ahead
}

// batchCommands are the commands of a transaction that makes holds. Redis reads plain commands faster than a script's arguments, so the
// script decides, and they write. They overwrite nothing: what the script forbids, it takes away again in the same step.
func (s *Store) batchCommands(ctx context.Context, at keys, batch []*commit, confirmed []confirmation, moment time.Time) (cmds []redis.Cmder) {
	add := func(args ...any) { cmds = append(cmds, redis.NewCmd(ctx, args...)) }
	now := strconv.FormatInt(moment.UnixMilli(), 10)
	look := []any{"EVAL", takenScript, 1, string(at)}
	commit := []any{"EVAL", commitScript, 1, string(at), now, unconfirmedFor.Milliseconds(), s.opt.RecallRetention.Milliseconds(), s.recordTime().Milliseconds()}
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
		add("HSETNX", at.hold(c.id), "p", now+c.record)
	}
	for entry, members := range index {
		add(append([]any{"ZADD", at.index(entry), "NX"}, members...)...)
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
// ARGV: the moment of all, how long a message is unconfirmed, content ms, record ms; what confirming wants; then of each hold: id,
// nonce, due, fingerprint, size, pieces that are staged (0: its only piece came just before), what it replaces or "", index entries.
// Output: Redis's time, and for each 1; or {id, held_at, due} of the first one of the same content; or "fenced", "taken", "missing", and
// nothing was done. When the moment is far from Redis's time nothing is done either, and the time is negative.
var commitScript = "#!lua flags=allow-oom\nlocal P = KEYS[1]\n" + moves + confirming + replacing + `
local from = 6 + 2 * ARGV[5]
local function along(a) return ARGV[a + 5] == '0' end
local function pieces(a) return P .. 'b:' .. ARGV[a] .. ':' .. ARGV[a + 1] .. ':' end
-- undo takes away what this transaction made of a hold; a piece that is staged expires by itself.
local function undo(a)
  local id = ARGV[a]
  if along(a) then drop(pieces(a) .. 0) end
  if redis.call('GET', P .. 'x:' .. id) ~= 'taken' then return erase(id, true) end
  drop(P .. 'x:' .. id)
  local theirs = ' ' .. (get(id, 'ix') or '') .. ' '
  for e in string.gmatch(ARGV[a + 7], '%S+') do
    if not string.find(theirs, ' ' .. e .. ' ', 1, true) then redis.call('ZREM', P .. 'i:' .. e, id) end
  end
end
local function nothing() for a = from, #ARGV, 8 do undo(a) end end
local schema = redis.call('GET', P .. 'schema') or 'none'
if string.sub(schema, 1, #'` + admittedSchema + `') ~= '` + admittedSchema + `' then
  nothing()
  return redis.error_reply('SCHEMA ' .. schema)
end
if math.abs(now - ARGV[1]) > ` + fmt.Sprint(clockMost.Milliseconds()) + ` then
  nothing()
  return {-now}
end
confirm(5)
local names, prints = {}, {}
for a = from, #ARGV, 8 do names[#names + 1], prints[#prints + 1] = P .. 'x:' .. ARGV[a], ARGV[a + 3] end
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
-- refusal says why there can be no such hold.
local function refusal(a, other)
  local id = ARGV[a]
  local mark = marked and redis.call('GET', P .. 'x:' .. id)
  if mark == 'taken' then return other == id and known(id) or mark end
  if mark then return 'fenced' end
  return again(fresh[ARGV[a + 3]] or other) or not along(a) and not keep(pieces(a), ARGV[a + 5]) and 'missing'
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
  if tonumber(due) < first then first, hasty = tonumber(due), due end
  if ARGV[a + 6] ~= '' then replaces[id] = cjson.decode(ARGV[a + 6]) end
  return 1
end
for a = from, #ARGV, 8 do rows[#rows + 1] = commit(a, others[#rows]) end
if #held > 0 then
  redis.call('ZADD', P .. 'z:held', unpack(held))
  redis.call('HSET', P .. 'u', unpack(unsure))
  redis.call('INCRBY', P .. 'bytes', int(bytes))
  aged(ageAt(ARGV[1]), int(#held / 2))
end
if hasty then redis.call('PUBLISH', P .. 'wake', hasty) end
for id, what in pairs(replaces) do replace(id, what, ARGV[3], ARGV[4]) end
return rows
`
