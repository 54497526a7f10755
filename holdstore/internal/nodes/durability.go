package nodes

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// durabilityAge is how long a finding about Redis's settings is believed.
const durabilityAge = 10 * time.Second

// durability remembers which servers were found durable, and when; a new connection makes it stale.
type durability struct {
	checking sync.Mutex // one check at a time; the others wait for its finding
	mu       sync.Mutex
	found    map[redis.UniversalClient]time.Time
	era      int                            // counts the times that all was forgotten
	unsaved  map[redis.UniversalClient]bool // seen without an AOF, and since then without a whole one
	proves   map[redis.UniversalClient]bool // has WAITAOF, which our login may use
}

// prove notes whether a server can prove that a write is on its disk.
func (d *durability) prove(node redis.UniversalClient, can bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.proves == nil {
		d.proves = map[redis.UniversalClient]bool{}
	}
	d.proves[node] = can
}

func (d *durability) provable(node redis.UniversalClient) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.proves[node]
}

func (d *durability) forget() {
	d.mu.Lock()
	defer d.mu.Unlock()
	clear(d.found)
	d.era++
}

func (d *durability) fresh(node redis.UniversalClient) (ok bool, era int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	at, ok := d.found[node]
	return ok && time.Since(at) < durabilityAge, d.era
}

// remember keeps a finding, unless a connection was made meanwhile: it may lead to another server than the one
// examined.
func (d *durability) remember(node redis.UniversalClient, era int, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.found, node)
	if err != nil || era != d.era {
		return
	}
	if d.found == nil {
		d.found = map[redis.UniversalClient]time.Time{}
	}
	d.found[node] = time.Now()
}

// saved says whether the AOF of a server has all that it keeps. One that is turned on in a running server is written
// anew first, and until that is done the server says that it has one, and loses all at a crash. INFO
// shows the difference only to a client that saw the file turned off.
func (d *durability) saved(node redis.UniversalClient, info map[string]string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	off := info["aof_enabled"] != "1"
	writing := info["aof_rewrite_in_progress"] == "1" || info["aof_rewrite_scheduled"] == "1" ||
		info["aof_last_bgrewrite_status"] == "err"
	if d.unsaved == nil {
		d.unsaved = map[redis.UniversalClient]bool{}
	}
	if off || d.unsaved[node] && writing {
		d.unsaved[node] = true
	} else {
		delete(d.unsaved, node)
	}
	return !d.unsaved[node]
}

// Ready says whether the whole store may take holds now: nil, ErrUnavailable or ErrNotDurable with what to do about it.
func (ns *Nodes) Ready(ctx context.Context) error {
	return ns.ByNode(ctx, func(ctx context.Context, node redis.UniversalClient, _ []Shard) error {
		return ns.nodeReady(ctx, node)
	})
}

// readiness is which server was found ready, and in which era.
type readiness struct {
	node redis.UniversalClient
	era  int
}

// ReadyAt says whether one shard may take holds now, as Ready does.
func (ns *Nodes) ReadyAt(ctx context.Context, at Shard) error {
	_, err := ns.ReadyNow(ctx, at)
	return err
}

// ReadyNow is ReadyAt for callers that ask StillReady after their write.
func (ns *Nodes) ReadyNow(ctx context.Context, at Shard) (r readiness, err error) {
	if r.node, err = ns.Node(ctx, at); err != nil {
		return r, Explain(err)
	}
	_, r.era = ns.durable.fresh(r.node)
	return r, ns.nodeReady(ctx, r.node)
}

// StillReady says whether what was written since then went to a server that may take holds. The write itself may have
// been the first that met another server, or the same one with other settings: it went over a new connection then, or
// to a new owner of the shard.
func (ns *Nodes) StillReady(ctx context.Context, at Shard, r readiness) error {
	now, err := ns.Node(ctx, at)
	if err != nil {
		return Explain(err)
	}
	if _, era := ns.durable.fresh(now); now == r.node && era == r.era {
		return nil
	}
	return ns.nodeReady(ctx, now)
}

func (ns *Nodes) nodeReady(ctx context.Context, node redis.UniversalClient) error {
	if err := ns.silent.of(node); err != nil {
		return err
	}
	if ok, _ := ns.durable.fresh(node); ok {
		return nil
	}
	ns.durable.checking.Lock()
	defer ns.durable.checking.Unlock()
	ok, era := ns.durable.fresh(node)
	if ok {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	err := ns.examine(ctx, node)
	ns.durable.remember(node, era, err)
	ns.moved(ctx, err)
	return err
}

// oldest is the first version of Redis whose scripts can say that they may run in a full store.
const oldest = 7

// settings with which every write goes to the disk before its reply, and nothing is evicted from memory.
var settings = []struct{ name, value string }{
	{"appendonly", "yes"}, {"appendfsync", "always"}, {"no-appendfsync-on-rewrite", "no"}, {"maxmemory-policy",
		"noeviction"},
}

// examine looks at one server.
func (ns *Nodes) examine(ctx context.Context, node redis.UniversalClient) error {
	text, err := node.Info(ctx).Result()
	if err != nil {
		return Explain(ns.saidBy(node, err))
	}
	info, at := infoFields(text), ns.Address(node)
	ns.memory.note(node, info)
	if err := usable(at, info); err != nil {
		return err
	}
	if _, cluster := ns.Client.(*redis.ClusterClient); info["cluster_enabled"] == "1" && !cluster {
		return unavailable("redis at %s is one of a Cluster: "+
			"give the addresses of several of its nodes in redis.addresses", at)
	}
	if n, _ := strconv.Atoi(info["connected_slaves"]); n < ns.opt.Replicas {
		return fmt.Errorf("%w: redis at %s has %d replicas and redis.replicas asks for %d: start them, "+
			"or lower redis.replicas",
			ErrNotDurable, at, n, ns.opt.Replicas)
	}
	saved := ns.durable.saved(node, info)
	if !ns.opt.strict() {
		return nil
	}
	proves, err := hasWaitAOF(ctx, node)
	if err != nil {
		return Explain(err)
	}
	ns.durable.prove(node, proves)
	if err := judge(ctx, node, at, proves && info["maxmemory_policy"] == "noeviction"); err != nil {
		return err
	}
	return writes(at, info, saved)
}

// usable says whether a server can be the store at all, by what INFO says of it.
func usable(at string, info map[string]string) error {
	if info["loading"] == "1" {
		return unavailable("redis at %s is loading its data: wait", at)
	}
	if role := info["role"]; role != "master" {
		return unavailable("redis at %s is a %s: give the address of the primary", at, role)
	}
	if why := unfit(info); why != "" {
		return unavailable("the server at %s is %s: %s: run Redis %d.0 or later, or Valkey", at, product(info), why, oldest)
	}
	return nil
}

// writes says whether a server writes all that it keeps to its disk, by what INFO says of it.
func writes(at string, info map[string]string, saved bool) error {
	if info["aof_enabled"] != "1" || info["aof_last_write_status"] != "ok" {
		return fmt.Errorf("%w: redis at %s says aof_enabled:%s aof_last_write_status:%s: free space on its disk "+
			"and look into its log",
			ErrNotDurable, at, info["aof_enabled"], info["aof_last_write_status"])
	}
	if !saved {
		return fmt.Errorf("%w: redis at %s has turned its append-only file on, "+
			"and not all of what it keeps is in it yet: wait; when it stays so, free space on its disk",
			ErrNotDurable, at)
	}
	return nil
}

// hasWaitAOF says whether a server can prove that a write is on its disk (Redis 7.2, Valkey), and our login may ask.
func hasWaitAOF(ctx context.Context, node redis.UniversalClient) (bool, error) {
	err := node.Do(ctx, "WAITAOF", 0, 0, 1).Err()
	if err != nil && !Answered(err) {
		return false, err
	}
	return err == nil, nil
}

// judge reads the settings of a server. One that proves each write need not let us read them; what it lets us read must
// be right all the same: settling a message is not proven.
func judge(ctx context.Context, node redis.UniversalClient, at string, proves bool) error {
	pipe := node.Pipeline()
	var replies []*redis.MapStringStringCmd
	for _, w := range settings {
		replies = append(replies, pipe.ConfigGet(ctx, w.name))
	}
	if _, err := pipe.Exec(ctx); err != nil && !Answered(err) {
		return Explain(err)
	}
	for n, w := range settings {
		got, err := replies[n].Result()
		if err != nil && proves {
			continue
		}
		if err != nil {
			return fmt.Errorf("%w: redis at %s does not let us read %s: allow CONFIG GET, "+
				"or set durability = \"assumed\": %w",
				ErrNotDurable, at, w.name, err)
		}
		if got[w.name] != w.value {
			return fmt.Errorf("%w: redis at %s has %s %q: run CONFIG SET %s %s and write it into redis.conf",
				ErrNotDurable, at, w.name, got[w.name], w.name, w.value)
		}
	}
	return nil
}

func major(version string) int {
	text, _, _ := strings.Cut(version, ".")
	n, _ := strconv.Atoi(text)
	return n
}

// Warnings says what about the servers could lose or delay mail, although holds are taken: each with what to do about
// it.
func (ns *Nodes) Warnings(ctx context.Context) (all []string, err error) {
	_, cluster := ns.Client.(*redis.ClusterClient)
	if ns.opt.Durability == "relaxed" {
		all = append(all, "redis.durability is \"relaxed\": a crash of redis can lose held mail: set \"strict\"")
	}
	if ns.opt.Replicas == 0 && (cluster || ns.opt.SentinelMaster != "") {
		all = append(all, "redis.replicas is 0: a failover loses the holds of its last moments, "+
			"and may send what was recalled in them: set redis.replicas = 1")
	}
	var mu sync.Mutex
	err = ns.ByNode(ctx, func(ctx context.Context, node redis.UniversalClient, _ []Shard) error {
		some, err := ns.nodeWarnings(ctx, node, cluster)
		mu.Lock()
		defer mu.Unlock()
		for _, w := range some {
			if !slices.Contains(all, w) {
				all = append(all, w)
			}
		}
		return err
	})
	return all, err
}

func (ns *Nodes) nodeWarnings(ctx context.Context, node redis.UniversalClient, cluster bool) (all []string, err error) {
	setting := func(name string) string {
		got, wrong := node.ConfigGet(ctx, name).Result()
		if wrong != nil && !Answered(wrong) {
			err = Explain(wrong)
		}
		return got[name] // empty when we may not read it
	}
	if ns.opt.Replicas > 0 && setting("min-replicas-to-write") == "0" {
		all = append(all, fmt.Sprintf("redis has min-replicas-to-write 0: "+
			"a primary that was cut off from its replicas goes on writing what will be thrown away: "+
			"run CONFIG SET min-replicas-to-write %d", ns.opt.Replicas))
	}
	if cluster && setting("cluster-require-full-coverage") == "yes" {
		all = append(all, "redis has cluster-require-full-coverage yes: "+
			"one master that is away stops the mail of all: run CONFIG SET cluster-require-full-coverage no")
	}
	return all, err
}

// infoFields reads the name:value lines of INFO.
func infoFields(text string) map[string]string {
	fields := map[string]string{}
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			fields[name] = value
		}
	}
	return fields
}
