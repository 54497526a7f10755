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

// layout is the version of what keys.go, record.go and the scripts say of names and forms. Every shard has it in its key schema,
// as "LAYOUT/SHARDS", and while it is upgraded as "FROM>LAYOUT/SHARDS". Every script looks at it before it does anything: of
// several gateways, those that are older than the store stop in the moment in which a newer one upgrades it.
//
// Whoever changes a stored form raises layout and adds the step from the one before; TestAnUpgrade shows one.
const layout = 1

// step makes of a shard's layout the next one. It may run again, and on several gateways at once; no script of ours runs meanwhile.
type step func(ctx context.Context, s *Store, at keys) error

// upgrades has the step from each older layout to the next. There is none yet: layout 1 is the first that was released.
var upgrades = map[int]step{}

// admitted lets no script run in a layout that it does not know.
var admitted = fmt.Sprintf(`
local P = KEYS[1]
local schema = redis.call('GET', P .. 'schema')
if not schema or string.sub(schema, 1, %d) ~= '%s' then return redis.error_reply('SCHEMA ' .. (schema or 'none')) end
`, len(admittedSchema), admittedSchema)

// admittedSchema is how the schema of our layout begins.
var admittedSchema = strconv.Itoa(layout) + "/"

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

// admit makes sure, once for each shard, that its layout is ours: it upgrades an older one, and refuses a newer one with ErrSchema.
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

// enter looks at the schema of a shard, writes it where it is missing, and upgrades it when it is older.
func (s *Store) enter(ctx context.Context, at keys) error {
	text, err := s.redis.Get(ctx, at.schema()).Result()
	if errors.Is(err, redis.Nil) {
		if at != s.shards[0] { // the first shard says how many there are
			if err := s.admit(ctx, s.shards[0]); err != nil {
				return err
			}
		}
		text, err = s.replaceSchema(ctx, at, "", s.schema())
	}
	if err != nil {
		return explain(err)
	}
	if text == s.schema() {
		return nil
	}
	from, err := s.judge(text)
	if err != nil {
		return err
	}
	return s.upgrade(ctx, at, text, from)
}

var schemaForm = regexp.MustCompile(`^(?:(\d{1,9})>)?(\d{1,9})/(\d{1,9})$`)

// judge says from which layout a store is to be upgraded, or why it can't be used.
func (s *Store) judge(text string) (from int, err error) {
	m := schemaForm.FindStringSubmatch(text)
	if m == nil {
		return 0, schemaError(fmt.Sprintf("the store's schema key says %q, which no version of recall-milter wrote", text))
	}
	to, _ := strconv.Atoi(m[2])
	if from = to; m[1] != "" {
		from, _ = strconv.Atoi(m[1])
	}
	switch {
	case to > layout:
		return 0, schemaError(fmt.Sprintf("this store was upgraded to layout %d by a newer version, and this one knows layout %d: upgrade this gateway; its mail waits meanwhile", to, layout))
	case m[3] != strconv.Itoa(len(s.shards)):
		return 0, schemaError(fmt.Sprintf("this store was made with %s shards, and redis.addresses name a Redis for %d (a Cluster has %d, any other Redis 1): "+
			"use the Redis that it was made on, or another prefix", m[3], len(s.shards), clusterShards))
	}
	for n := from; n < layout; n++ {
		if upgrades[n] == nil {
			return 0, schemaError(fmt.Sprintf("this store has layout %d, which no released version wrote and this one can't upgrade: "+
				"use another prefix", from))
		}
	}
	return from, nil
}

// replaceScript writes a schema, unless it is another one meanwhile. ARGV: what it was, "" for none; what it becomes. Output: the schema.
var replaceScript = redis.NewScript("#!lua flags=allow-oom\n" + `
local key = KEYS[1] .. 'schema'
if (redis.call('GET', key) or '') == ARGV[1] then redis.call('SET', key, ARGV[2]) end
return redis.call('GET', key)
`)

func (s *Store) replaceSchema(ctx context.Context, at keys, was, becomes string) (string, error) {
	return s.runAnyway(ctx, at, replaceScript, was, becomes).Text()
}

// upgrade makes of an older layout ours. text is its schema; one that was cut off begins again where it began.
func (s *Store) upgrade(ctx context.Context, at keys, text string, from int) error {
	mark := fmt.Sprintf("%d>%s", from, s.schema())
	now, err := s.replaceSchema(ctx, at, text, mark)
	if err != nil {
		return explain(err)
	}
	if now == s.schema() {
		return nil // another gateway was faster
	}
	if now != mark {
		return schemaError("this store is being upgraded by another version: its mail waits meanwhile")
	}
	for n := from; n < layout; n++ {
		if err := upgrades[n](ctx, s, at); err != nil {
			return fmt.Errorf("upgrade of the store from layout %d to %d: %w", n, n+1, err)
		}
	}
	now, err = s.replaceSchema(ctx, at, mark, s.schema())
	if err == nil && now != s.schema() {
		_, err = s.judge(now)
		return err
	}
	return explain(err)
}
