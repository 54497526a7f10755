package holdstore

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/redis/go-redis/v9"
)

// layout is the version of what keys.go and the scripts say of names and forms. Every shard has it in its key schema, as
// "LAYOUT/SHARDS", and while it is upgraded as "FROM>LAYOUT/SHARDS". Every script looks at it before it does anything: of
// several gateways, those that are older than the store stop in the moment in which a newer one upgrades it.
//
//	1  without a schema key; index keys name the values
//	2  index keys have numbers, which several values share; a small message is one piece
//	3  unconfirmed fingerprints are in one hash
const layout = 4

// admitted lets no script run in a layout that it does not know.
var admitted = fmt.Sprintf(`
local P = KEYS[1]
local schema = redis.call('GET', P .. 'schema')
if not schema or string.sub(schema, 1, %d) ~= '%s' then return redis.error_reply('SCHEMA ' .. (schema or 'none')) end
`, len(admittedSchema), admittedSchema)

// admittedSchema is how the schema of our layout begins.
var admittedSchema = strconv.Itoa(layout) + "/"

// steps makes of each layout the next one. A step may run again, and on several gateways at once; no script of ours runs
// meanwhile.
var steps = map[int]func(*Store, context.Context, keys) error{
	1: (*Store).reindex,
	2: (*Store).reprint,
	3: (*Store).repack,
}

// admission is what is known of one shard's schema.
type admission struct {
	granted atomic.Bool
	mu      sync.Mutex
	running *attempt
}

// attempt is one look at a schema, for all who wait for it.
type attempt struct {
	done chan struct{}
	err  error
}

// admit makes sure, once for each shard, that its layout is ours: it upgrades an older one, which takes some ten seconds
// for a million holds, and refuses a newer one with ErrSchema.
func (s *Store) admit(ctx context.Context, at keys) error {
	a := s.admissions[at]
	if a.granted.Load() {
		return nil
	}
	a.mu.Lock()
	if a.running == nil {
		a.running = &attempt{done: make(chan struct{})}
		s.work.Go(func() {
			a.end(s.guarded("the look at the layout of the store", func() error { return s.enter(s.ctx, at) }))
		})
	}
	now := a.running
	a.mu.Unlock()
	select {
	case <-now.done:
		return now.err
	case <-ctx.Done():
		return explain(ctx.Err())
	}
}

func (a *admission) end(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.granted.Store(err == nil)
	a.running.err = err
	close(a.running.done)
	a.running = nil
}

// visible lists the shards that can be read, admitted. With ErrPartial it is those of the servers that answer.
func (s *Store) visible(ctx context.Context) (shards []keys, err error) {
	shards, err = s.readable(ctx)
	if wrong := s.admitAll(ctx, shards); wrong != nil {
		return nil, wrong
	}
	return shards, err
}

// readable is visible for who looks at the layout himself.
func (s *Store) readable(ctx context.Context) (shards []keys, err error) {
	if len(s.shards) == 1 {
		return s.shards, nil
	}
	var mu sync.Mutex
	err = s.byNode(ctx, func(ctx context.Context, node redis.UniversalClient, owned []keys) error {
		if err := s.answers(ctx, node); err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		shards = append(shards, owned...)
		return nil
	})
	slices.Sort(shards)
	return shards, err
}

// admitAll is admit for some shards; usually it takes one round trip, and then none.
func (s *Store) admitAll(ctx context.Context, shards []keys) error {
	var open []keys
	for _, at := range shards {
		if !s.admissions[at].granted.Load() {
			open = append(open, at)
		}
	}
	if len(open) == 0 {
		return nil
	}
	pipe := s.redis.Pipeline()
	for _, at := range open {
		pipe.Get(ctx, at.schema())
	}
	replies, _ := pipe.Exec(ctx)
	for n, at := range open {
		if text, _ := replies[n].(*redis.StringCmd).Result(); text == s.schema() {
			s.admissions[at].granted.Store(true)
		} else if err := s.admit(ctx, at); err != nil {
			return err
		}
	}
	return nil
}

// otherLayout says whether a script was refused for the layout, and all is well now: the schema was lost, or an upgrade
// ended. Otherwise the command gets an error that says why.
func (s *Store) otherLayout(ctx context.Context, at keys, cmd *redis.Cmd) bool {
	if !redis.HasErrorPrefix(cmd.Err(), "SCHEMA") {
		return false
	}
	s.admissions[at].granted.Store(false)
	err := s.admit(ctx, at)
	if err != nil {
		cmd.SetErr(err)
	}
	return err == nil
}

// schema is what the schema key of our layout says.
func (s *Store) schema() string { return fmt.Sprintf("%d/%d", layout, len(s.shards)) }

// enter looks at the schema of a shard, and upgrades it when it is older.
func (s *Store) enter(ctx context.Context, at keys) error {
	text, err := s.redis.Get(ctx, at.schema()).Result()
	switch {
	case errors.Is(err, redis.Nil) && at != s.shards[0]:
		// The first shard says how many there are.
		if err := s.admit(ctx, s.shards[0]); err != nil {
			return err
		}
		return s.upgrade(ctx, at, 1)
	case errors.Is(err, redis.Nil):
		return s.upgrade(ctx, at, 1)
	case err != nil:
		return explain(err)
	case text == s.schema():
		return nil
	}
	from, err := s.judge(text)
	if err != nil {
		return err
	}
	return s.upgrade(ctx, at, from)
}

var schemaForm = regexp.MustCompile(`^(?:(\d{1,9})>)?(\d{1,9})/(\d{1,9})$`)

// judge says from which layout a store is to be upgraded, or why it can't be used.
func (s *Store) judge(text string) (from int, err error) {
	m := schemaForm.FindStringSubmatch(text)
	if m == nil {
		return 0, schemaError(fmt.Sprintf("the store's schema key says %q, which no version of recall-milter wrote", text))
	}
	to, _ := strconv.Atoi(m[2])
	if from, _ = strconv.Atoi(m[1]); from == 0 {
		from = to
	}
	switch {
	case to > layout:
		return 0, schemaError(fmt.Sprintf("this store was upgraded to layout %d by a newer version, and this one knows layout %d: upgrade this gateway; its mail waits meanwhile", to, layout))
	case m[3] != strconv.Itoa(len(s.shards)):
		return 0, schemaError(fmt.Sprintf("this store was made with %s shards, and redis.addresses name a Redis for %d (a Cluster has %d, any other Redis 1): "+
			"use the Redis that it was made on, or another prefix", m[3], len(s.shards), clusterShards))
	}
	return from, nil
}

// markScript says that an upgrade has begun; a shard without anything in it has the new layout at once.
// ARGV: from, to, shards. Output: "ok", "done", or another schema.
var markScript = redis.NewScript("#!lua flags=allow-oom\nlocal P = KEYS[1]\n" + `
local key, from = P .. 'schema', ARGV[1] .. '/' .. ARGV[3]
local to = ARGV[2] .. '/' .. ARGV[3]
local mark, now = ARGV[1] .. '>' .. to, redis.call('GET', key)
if now == to then return 'done' end
-- An upgrade to a layout between may have been cut off.
local begun, aim = string.match(now or '', '^(%d+)>(%d+)/')
if now and now ~= from and not (begun == ARGV[1] and tonumber(aim) <= tonumber(ARGV[2])) then return now end
local used = 0
for _, name in ipairs({'held', 'releasing', 'released', 'recalled', 'age'}) do used = used + redis.call('EXISTS', P .. 'z:' .. name) end
redis.call('SET', key, used == 0 and to or mark)
return used == 0 and 'done' or 'ok'
`)

// doneScript ends an upgrade. ARGV: from, to, shards. Output: the schema.
var doneScript = redis.NewScript("#!lua flags=allow-oom\n" + `
local key, to = KEYS[1] .. 'schema', ARGV[2] .. '/' .. ARGV[3]
if redis.call('GET', key) == ARGV[1] .. '>' .. to then redis.call('SET', key, to) end
return redis.call('GET', key) or ''
`)

func (s *Store) upgrade(ctx context.Context, at keys, from int) error {
	args := []any{from, layout, len(s.shards)}
	word, err := s.runAnyway(ctx, at, markScript, args...).Text()
	if err != nil {
		return explain(err)
	}
	if word == "done" {
		return nil
	}
	if word != "ok" {
		_, err := s.judge(word)
		return err
	}
	for n := from; n < layout; n++ {
		if err := steps[n](s, ctx, at); err != nil {
			return fmt.Errorf("upgrade of the store from layout %d to %d: %w", n, n+1, err)
		}
	}
	word, err = s.runAnyway(ctx, at, doneScript, args...).Text()
	if err == nil && word != s.schema() {
		_, err = s.judge(word)
		return err
	}
	return explain(err)
}

// reindexScript gives holds the index of layout 2. ARGV: buckets of a shard, ids... Output: how many were changed.
const reindex = `
local function bucket(text)
  return string.sub(text, 1, 1) .. int(tonumber(string.sub(redis.sha1hex(text), 1, 4), 16) % ARGV[1])
end
local changed = 0
for i = 2, #ARGV do
  local id = ARGV[i]
  local ix, fresh, seen = get(id, 'ix') or '', {}, {}
  if string.sub(ix, 1, 1) == '[' then
    for _, e in ipairs(cjson.decode(ix)) do
      redis.call('ZREM', P .. 'i:' .. e, id)
      local new = bucket((string.gsub(e, '^l:', 's:')))
      redis.call('ZADD', P .. 'i:' .. new, get(id, 'held_at'), id)
      if not seen[new] then fresh[#fresh + 1] = new end
      seen[new] = true
    end
    set(id, 'ix', table.concat(fresh, ' '))
    changed = changed + 1
  end
end
return changed
`

// reindexScript runs within an upgrade, reindexLate for what a daemon without a schema, which is still running, wrote after it.
var (
	reindexScript = redis.NewScript("#!lua flags=allow-oom\nlocal P = KEYS[1]\n" + moves + reindex)
	reindexLate   = drain(reindex)
)

func (s *Store) reindex(ctx context.Context, at keys) error { return s.rewrite(ctx, at, reindexScript) }

// reprintScript puts the fingerprints of unconfirmed holds into the one hash of layout 3. ARGV: as reindexScript has it... Output: "ok".
var reprintScript = redis.NewScript("#!lua flags=allow-oom\nlocal P = KEYS[1]\n" + moves + `
for i = 2, #ARGV do
  local fp = get(ARGV[i], 'fp')
  if fp and redis.call('GET', P .. 'u:' .. fp) == ARGV[i] then
    redis.call('HSET', P .. 'u', fp, ARGV[i])
    drop(P .. 'u:' .. fp)
  end
  if fp then redis.call('HDEL', P .. 'h:' .. ARGV[i], 'fp') end
end
return 'ok'
`)

func (s *Store) reprint(ctx context.Context, at keys) error { return s.rewrite(ctx, at, reprintScript) }

// repackScript puts a hold into the index of layout 4, and counts it by age. ARGV: id, new entries... Output: "ok".
var repackScript = redis.NewScript("#!lua flags=allow-oom\nlocal P = KEYS[1]\n" + moves + `
local id, new = ARGV[1], {}
if redis.call('ZREM', P .. 'z:age', id) == 1 then aged(ageOf(id), 1) end
if #ARGV == 1 or redis.call('EXISTS', P .. 'h:' .. id) == 0 then return 'ok' end
for i = 2, #ARGV do
  new[ARGV[i]] = true
  redis.call('ZADD', P .. 'i:' .. ARGV[i], get(id, 'held_at'), id)
end
for e in string.gmatch(get(id, 'ix') or '', '%S+') do
  if not new[e] then redis.call('ZREM', P .. 'i:' .. e, id) end
end
set(id, 'ix', table.concat(ARGV, ' ', 2))
return 'ok'
`)

// repack makes layout 4: senders and logins share an index, what waits by age is counted instead of listed, and fingerprints are shorter.
// Records keep their form.
func (s *Store) repack(ctx context.Context, at keys) error {
	for _, st := range allStates {
		ids, err := s.redis.ZRange(ctx, at.state(st), 0, -1).Result()
		if err != nil {
			return explain(err)
		}
		for page := range slices.Chunk(ids, findPage) {
			holds, _, err := s.loadEach(ctx, page)
			if err != nil {
				return err
			}
			for _, h := range holds {
				if err := s.runAnyway(ctx, at, repackScript, append([]any{h.ID}, anys(s.indexEntries(&h.Submission))...)...).Err(); err != nil {
					return explain(err)
				}
			}
		}
	}
	prints, err := s.redis.HGetAll(ctx, string(at)+"u").Result()
	if err != nil {
		return explain(err)
	}
	for print, id := range prints {
		if len(print) > printLength {
			s.redis.HSetNX(ctx, string(at)+"u", print[:printLength], id)
			s.redis.HDel(ctx, string(at)+"u", print)
		}
	}
	return explain(s.redis.Del(ctx, string(at)+"z:age").Err())
}

// rewrite runs a script of an upgrade for all holds of a shard.
func (s *Store) rewrite(ctx context.Context, at keys, sc *redis.Script) error {
	for _, st := range allStates {
		ids, err := s.redis.ZRange(ctx, at.state(st), 0, -1).Result()
		if err != nil {
			return explain(err)
		}
		for some := range slices.Chunk(ids, reapBatch) {
			if err := s.runAnyway(ctx, at, sc, s.reindexArgs(some)...).Err(); err != nil {
				return explain(err)
			}
		}
	}
	return nil
}

func (s *Store) reindexArgs(ids []string) []any {
	args := []any{buckets / len(s.shards)}
	for _, id := range ids {
		args = append(args, id)
	}
	return args
}
