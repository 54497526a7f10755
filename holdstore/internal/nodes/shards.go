package nodes

import (
	"context"
	"hash/fnv"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// Shard is a part of the store whose keys are in one Cluster slot: what all their names begin with, the prefix and one
// hash tag.
type Shard string

func newShard(prefix string, n int) Shard { return Shard(prefix + ":{mh" + strconv.Itoa(n) + "}:") }

func (at Shard) key(name string) string { return string(at) + name }

// ClusterShards is how many shards a Cluster holds; its slots spread them over all its servers. Any other Redis holds
// one. What belongs together in one script is in one shard: a hold, its content, its index entries, its jobs.
const ClusterShards = 64

// How often a script follows its shard to another server, and how long it waits for the new picture of the Cluster.
const (
	maxMoves  = 3
	movePause = 50 * time.Millisecond
)

// shardsOf makes the names of all shards.
func shardsOf(client redis.UniversalClient, prefix string) []Shard {
	n := 1
	if _, ok := client.(*redis.ClusterClient); ok {
		n = ClusterShards
	}
	all := make([]Shard, n)
	for i := range all {
		all[i] = newShard(prefix, i)
	}
	return all
}

// Of returns the shard that something belongs to, by its name: the ID of a hold or job, a digest.
func (ns *Nodes) Of(name string) Shard { return ns.Shards[ns.Number(name)] }

// Number returns the index of the shard that something belongs to, by its name.
func (ns *Nodes) Number(name string) int {
	h := fnv.New32a()
	h.Write([]byte(name))
	return int(h.Sum32() % uint32(len(ns.Shards)))
}

// Node returns the server that owns a shard. It repeats nothing by itself: a script whose reply was lost may have run.
func (ns *Nodes) Node(ctx context.Context, at Shard) (redis.UniversalClient, error) {
	if c, ok := ns.Client.(*redis.ClusterClient); ok {
		return c.MasterForKey(ctx, string(at))
	}
	return ns.Client, nil
}

// OnSameServer lists the other shards on the server of a shard, as far as that is known.
func (ns *Nodes) OnSameServer(ctx context.Context, at Shard) (others []Shard) {
	if len(ns.Shards) == 1 {
		return nil
	}
	node, err := ns.Node(ctx, at)
	for _, other := range ns.Shards {
		if its, wrong := ns.Node(ctx, other); other != at && err == nil && wrong == nil && its == node {
			others = append(others, other)
		}
	}
	return others
}

// Address says where a server is, for people. The client of Sentinels doesn't know; the connection that it made last
// does.
func (ns *Nodes) Address(node redis.UniversalClient) string {
	if addr := ns.primary.addr.Load(); addr != nil {
		return *addr
	}
	if c, ok := node.(*redis.Client); ok {
		return c.Options().Addr
	}
	return "an address unknown"
}

// ByNode calls f for each server with the shards that it owns, for all servers at once: one that is away delays no
// other. Its error says in one line what is wrong with each of them; it is ErrPartial when not all servers failed.
func (ns *Nodes) ByNode(ctx context.Context, f func(ctx context.Context, node redis.UniversalClient,
	shards []Shard) error) error {
	groups := map[redis.UniversalClient][]Shard{}
	failed := &Failures{}
	for _, at := range ns.Shards {
		node, err := ns.Node(ctx, at)
		if err != nil {
			failed.Add(Explain(err))
			continue
		}
		groups[node] = append(groups[node], at)
	}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for node, shards := range groups {
		wg.Go(func() {
			err := ns.Guard("work on a server of the store", func() error { return f(ctx, node, shards) })
			if err != nil {
				ns.moved(ctx, err)
			}
			mu.Lock()
			defer mu.Unlock()
			if failed.Some = failed.Some || err == nil; err != nil {
				failed.Add(err)
			}
		})
	}
	wg.Wait()
	return failed.Err()
}

// Head is the first member of a sorted set of a shard.
type Head struct {
	At    Shard
	Score float64 // when it is due, in ms
}

// HeadTime bounds the look at one server's heads. One that hangs delays what the others have once, by so much.
const HeadTime = time.Second

// Heads returns the first member of a sorted set of each shard, soonest first, and the time of the server that is
// ahead. With an error it returns what the other servers have.
func (ns *Nodes) Heads(ctx context.Context, name func(Shard) string) (all []Head, now time.Time, err error) {
	var mu sync.Mutex
	err = ns.ByNode(ctx, func(ctx context.Context, node redis.UniversalClient, shards []Shard) error {
		if err := ns.silent.of(node); err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(ctx, HeadTime)
		defer cancel()
		pipe := node.Pipeline()
		clock := pipe.Time(ctx)
		firsts := make([]*redis.ZSliceCmd, len(shards))
		for n, at := range shards {
			firsts[n] = pipe.ZRangeWithScores(ctx, name(at), 0, 0)
		}
		if _, err := pipe.Exec(ctx); err != nil {
			if !Answered(err) && len(ns.Shards) > 1 {
				ns.silent.begin(ns, node, err)
			}
			return Explain(ns.saidBy(node, err))
		}
		mu.Lock()
		defer mu.Unlock()
		for n, first := range firsts {
			if len(first.Val()) > 0 {
				all = append(all, Head{shards[n], first.Val()[0].Score})
			}
		}
		if clock.Val().After(now) {
			now = clock.Val()
		}
		return nil
	})
	slices.SortFunc(all, func(a, b Head) int { return int(a.Score - b.Score) })
	return all, now, err
}

// Grouped sorts names by shard.
func (ns *Nodes) Grouped(names []string) map[Shard][]string {
	groups := map[Shard][]string{}
	for _, name := range names {
		groups[ns.Of(name)] = append(groups[ns.Of(name)], name)
	}
	return groups
}

// InOrder lists the shards of a group, so that work on several of them is always done in the same order.
func InOrder(groups map[Shard][]string) []Shard { return slices.Sorted(maps.Keys(groups)) }
