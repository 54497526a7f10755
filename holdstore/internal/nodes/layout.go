package nodes

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

// Layout is the version of the key names and stored forms that keys.go, record.go and the scripts define. Every shard
// has it in its key schema, as "LAYOUT/SHARDS", and while it is upgraded as "FROM>LAYOUT/SHARDS". Every script looks at
// it before it does anything: of several gateways, those that are older than the store stop in the moment in which a
// newer one upgrades it.
//
// A change of a stored form raises Layout and adds the step from the layout before it; TestAnUpgrade shows one.
const Layout = 1

// Upgrade makes of a shard's layout the next one. It may run again, and on several gateways at once; no script of ours
// runs meanwhile.
type Upgrade func(ctx context.Context, at Shard) error

// Check begins every script of ours: it lets none run in a layout that it does not know.
var Check = fmt.Sprintf(`
local P = KEYS[1]
local schema = redis.pcall('GET', P .. 'schema')
if type(schema) == 'table' then schema = 'of another type' end
if not schema or string.sub(schema, 1, %d) ~= '%s' then return redis.error_reply('SCHEMA ' .. (schema or 'none')) end
`, len(Checked), Checked)

// Checked is how the schema of our layout begins.
var Checked = strconv.Itoa(Layout) + "/"

// admission is what this client knows of one shard's schema.
type admission struct {
	granted atomic.Bool
	mu      sync.Mutex
	running *look
}

// look is one reading of a schema, for all callers that wait for it.
type look struct {
	done chan struct{}
	err  error
}

// Admit makes sure, once for each shard, that its layout is ours: it upgrades an older one, and refuses a newer one
// with ErrSchema.
func (ns *Nodes) Admit(ctx context.Context, at Shard) error {
	a := ns.admissions[at]
	if a.granted.Load() {
		return nil
	}
	a.mu.Lock()
	if a.running == nil {
		a.running = &look{done: make(chan struct{})}
		ns.work.Go(func() {
			a.end(ns.Guard("the look at the layout of the store", func() error { return ns.enter(ns.ctx, at) }))
		})
	}
	now := a.running
	a.mu.Unlock()
	select {
	case <-now.done:
		return now.err
	case <-ctx.Done():
		return Explain(ctx.Err())
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

// Visible lists the shards that can be read, admitted. With ErrPartial it is those of the servers that answer.
func (ns *Nodes) Visible(ctx context.Context) (shards []Shard, err error) {
	shards, err = ns.Readable(ctx)
	if wrong := ns.AdmitAll(ctx, shards); wrong != nil {
		return nil, wrong
	}
	return shards, err
}

// Readable is Visible for callers that look at the layout by themselves.
func (ns *Nodes) Readable(ctx context.Context) (shards []Shard, err error) {
	if len(ns.Shards) == 1 {
		return ns.Shards, nil
	}
	var mu sync.Mutex
	err = ns.ByNode(ctx, func(ctx context.Context, node redis.UniversalClient, owned []Shard) error {
		if err := ns.answers(ctx, node); err != nil {
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

// AdmitAll is Admit for some shards; usually it takes one round trip, and then none.
func (ns *Nodes) AdmitAll(ctx context.Context, shards []Shard) error {
	var open []Shard
	for _, at := range shards {
		if !ns.admissions[at].granted.Load() {
			open = append(open, at)
		}
	}
	if len(open) == 0 {
		return nil
	}
	pipe := ns.Client.Pipeline()
	for _, at := range open {
		pipe.Get(ctx, at.key("schema"))
	}
	replies, _ := pipe.Exec(ctx)
	for n, at := range open {
		if text, _ := replies[n].(*redis.StringCmd).Result(); text == ns.Schema() {
			ns.admissions[at].granted.Store(true)
		} else if err := ns.Admit(ctx, at); err != nil {
			return err
		}
	}
	return nil
}

// otherLayout says whether a script was refused for the layout, and all is well now: the schema was lost, or an upgrade
// ended. Otherwise the command gets an error that says why.
func (ns *Nodes) otherLayout(ctx context.Context, at Shard, cmd *redis.Cmd) bool {
	if !begins(cmd.Err(), "SCHEMA") {
		return false
	}
	ns.admissions[at].granted.Store(false)
	err := ns.Admit(ctx, at)
	if err != nil {
		cmd.SetErr(err)
	}
	return err == nil
}

// Schema is what the schema key of our layout says.
func (ns *Nodes) Schema() string { return fmt.Sprintf("%d/%d", Layout, len(ns.Shards)) }

// enter looks at the schema of a shard, writes it where it is missing, and upgrades it when it is older.
func (ns *Nodes) enter(ctx context.Context, at Shard) error {
	text, err := ns.Client.Get(ctx, at.key("schema")).Result()
	if errors.Is(err, redis.Nil) {
		if at != ns.Shards[0] { // the first shard says how many there are
			if err := ns.Admit(ctx, ns.Shards[0]); err != nil {
				return err
			}
		}
		text, err = ns.replaceSchema(ctx, at, "", ns.Schema())
	}
	if WrongType(err) {
		return schemaError(fmt.Sprintf("the store's key %s is not text, and no version of recall-milter made it so: "+
			"delete it with redis-cli DEL; the next daemon writes it again", at.key("schema")))
	}
	if err != nil {
		return Explain(err)
	}
	if text == ns.Schema() {
		return nil
	}
	from, err := ns.judge(text)
	if err != nil {
		return err
	}
	return ns.upgrade(ctx, at, text, from)
}

var schemaForm = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^(?:(\d{1,9})>)?(\d{1,9})/(\d{1,9})$`)
})

// judge says from which layout a store is to be upgraded, or why it can't be used.
func (ns *Nodes) judge(text string) (from int, err error) {
	m := schemaForm().FindStringSubmatch(text)
	if m == nil {
		return 0, schemaError(fmt.Sprintf("the store's schema key says %q, which no version of recall-milter wrote",
			text))
	}
	to, _ := strconv.Atoi(m[2])
	if from = to; m[1] != "" {
		from, _ = strconv.Atoi(m[1])
	}
	switch {
	case to > Layout:
		return 0, schemaError(fmt.Sprintf("this store was upgraded to layout %d by a newer version, "+
			"and this one knows layout %d: upgrade this gateway; its mail waits meanwhile", to, Layout))
	case m[3] != strconv.Itoa(len(ns.Shards)):
		return 0, schemaError(fmt.Sprintf("this store was made with %s shards, "+
			"and redis.addresses name a Redis for %d (a Cluster has %d, any other Redis 1): "+
			"use the Redis that it was made on, or another prefix", m[3], len(ns.Shards), ClusterShards))
	}
	for n := from; n < Layout; n++ {
		if ns.opt.Upgrades[n] == nil {
			return 0, schemaError(fmt.Sprintf("this store has layout %d, which no released version wrote and this one "+
				"can't upgrade: use another prefix", from))
		}
	}
	return from, nil
}

// replaceScript writes a schema, unless it is another one meanwhile. ARGV: what it was, "" for none; what it becomes.
// Output: the schema.
var replaceScript = NewScript(func() string {
	return "#!lua flags=allow-oom\n" + `
local key = KEYS[1] .. 'schema'
if (redis.call('GET', key) or '') == ARGV[1] then redis.call('SET', key, ARGV[2]) end
return redis.call('GET', key)
`
})

func (ns *Nodes) replaceSchema(ctx context.Context, at Shard, was, becomes string) (string, error) {
	return ns.RunAnyway(ctx, at, replaceScript, was, becomes).Text()
}

// upgrade makes of an older layout ours. text is its schema; one that was cut off begins again where it began.
func (ns *Nodes) upgrade(ctx context.Context, at Shard, text string, from int) error {
	mark := fmt.Sprintf("%d>%s", from, ns.Schema())
	now, err := ns.replaceSchema(ctx, at, text, mark)
	if err != nil {
		return Explain(err)
	}
	if now == ns.Schema() {
		return nil // another gateway was faster
	}
	if now != mark {
		return schemaError("this store is being upgraded by another version: its mail waits meanwhile")
	}
	for n := from; n < Layout; n++ {
		if err := ns.opt.Upgrades[n](ctx, at); err != nil {
			return fmt.Errorf("upgrade of the store from layout %d to %d: %w", n, n+1, err)
		}
	}
	now, err = ns.replaceSchema(ctx, at, mark, ns.Schema())
	if err == nil && now != ns.Schema() {
		_, err = ns.judge(now)
		return err
	}
	return Explain(err)
}

// Has says whether a shard is one of the store's.
func (ns *Nodes) Has(at Shard) bool { return ns.admissions[at] != nil }

// LostSchemas lists the shards without a schema key.
func (ns *Nodes) LostSchemas(ctx context.Context, shards []Shard) (lost []Shard, err error) {
	pipe := ns.Client.Pipeline()
	for _, at := range shards {
		pipe.Exists(ctx, at.key("schema"))
	}
	replies, err := pipe.Exec(ctx)
	if err != nil {
		return nil, Explain(err)
	}
	for n, r := range replies {
		if r.(*redis.IntCmd).Val() == 0 {
			lost = append(lost, shards[n])
		}
	}
	return lost, nil
}
