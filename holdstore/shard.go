package holdstore

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// A Cluster holds clusterShards shards, which its slots spread over all its servers; any other Redis holds one. What
// belongs together in one script is in one shard: a hold, its content, its index entries, its jobs.
const clusterShards = 64

// One script follows its shard to another server so often, and waits so long for the new picture of the Cluster.
const (
	maxMoves  = 3
	movePause = 50 * time.Millisecond
)

// shardsOf makes the names of all shards.
func shardsOf(client redis.UniversalClient, prefix string) []keys {
	n := 1
	if _, ok := client.(*redis.ClusterClient); ok {
		n = clusterShards
	}
	all := make([]keys, n)
	for i := range all {
		all[i] = newKeys(prefix, i)
	}
	return all
}

// of returns the shard that something belongs to, by its name: the ID of a hold or job, a digest.
func (s *Store) of(name string) keys { return s.shards[s.number(name)] }

func (s *Store) number(name string) int {
	h := fnv.New32a()
	h.Write([]byte(name))
	return int(h.Sum32() % uint32(len(s.shards)))
}

// idNear makes an ID that belongs to the shard of a name: a message that is submitted again must meet its first hold.
func (s *Store) idNear(name string) string {
	now := time.Now()
	for {
		if id := newID(now); s.number(id) == s.number(name) {
			return id
		}
	}
}

// node returns the server that owns a shard. It repeats nothing by itself: a script whose reply was lost may have run.
func (s *Store) node(ctx context.Context, at keys) (redis.UniversalClient, error) {
	if c, ok := s.redis.(*redis.ClusterClient); ok {
		return c.MasterForKey(ctx, string(at))
	}
	return s.redis, nil
}

// address says where a server is, for people. The client of Sentinels doesn't know; the connection that it made last does.
func (s *Store) address(node redis.UniversalClient) string {
	if addr := s.primary.addr.Load(); addr != nil {
		return *addr
	}
	if c, ok := node.(*redis.Client); ok {
		return c.Options().Addr
	}
	return "an address unknown"
}

// moved says whether a server refused a command because its shard is elsewhere: nothing was done then, and it looks
// where. It looks too when a server did not answer, which may have been replaced.
func (s *Store) moved(ctx context.Context, err error) bool {
	c, ok := s.redis.(*redis.ClusterClient)
	if !ok || err == nil || answered(err) && !misses(err) {
		return false
	}
	c.ReloadState(context.WithoutCancel(ctx))
	if !redis.HasErrorPrefix(err, "MOVED") && !redis.HasErrorPrefix(err, "READONLY") {
		return false
	}
	select {
	case <-ctx.Done():
		return false
	case <-time.After(movePause):
		return true
	}
}

// misses says whether a server's reply shows that our picture of the Cluster is old.
func misses(err error) bool {
	for _, word := range []string{"MOVED", "READONLY", "ASK", "CLUSTERDOWN", "TRYAGAIN", "MASTERDOWN"} {
		if redis.HasErrorPrefix(err, word) {
			return true
		}
	}
	return false
}

// run runs a script in a shard, loading it when Redis does not know it (any more), and only while the shard has our layout.
func (s *Store) run(ctx context.Context, at keys, sc *redis.Script, args ...any) *redis.Cmd {
	if err := s.admit(ctx, at); err != nil {
		return failed(ctx, err)
	}
	cmd := s.runAnyway(ctx, at, sc, args...)
	if s.otherLayout(ctx, at, cmd) {
		cmd = s.runAnyway(ctx, at, sc, args...)
	}
	return cmd
}

// runAnyway is run for scripts that do not look at the layout.
func (s *Store) runAnyway(ctx context.Context, at keys, sc *redis.Script, args ...any) *redis.Cmd {
	var cmd *redis.Cmd
	for range maxMoves {
		node, err := s.node(ctx, at)
		if err != nil {
			return failed(ctx, err)
		}
		if cmd = sc.Run(ctx, node, []string{string(at)}, args...); !s.moved(ctx, cmd.Err()) {
			break
		}
	}
	return cmd
}

// word runs a script that answers with one word, in the shard of a hold.
func (s *Store) word(ctx context.Context, sc *redis.Script, id string, args ...any) error {
	return s.wordAt(ctx, s.of(id), sc, id, args...)
}

func (s *Store) wordAt(ctx context.Context, at keys, sc *redis.Script, id string, args ...any) error {
	return worded(s.run(ctx, at, sc, append([]any{id}, args...)...), id)
}

// firmWord is word for what somebody relies on.
func (s *Store) firmWord(ctx context.Context, sc *redis.Script, id string, args ...any) error {
	return worded(s.firmly(ctx, s.of(id), sc, append([]any{id}, args...)...), id)
}

func worded(cmd *redis.Cmd, id string) error {
	w, err := cmd.Text()
	if errors.Is(err, errFewReplicas) {
		return fmt.Errorf("%s: %w, and a failover now would undo it", id, explain(err))
	}
	if err != nil {
		return explain(err)
	}
	return outcome(w, id)
}

// byNode calls f for each server with the shards that it owns, for all servers at once: one that is away delays no other.
// Its error says in one line what is wrong with each of them; it is ErrPartial when not all servers failed.
func (s *Store) byNode(ctx context.Context, f func(ctx context.Context, node redis.UniversalClient, shards []keys) error) error {
	groups := map[redis.UniversalClient][]keys{}
	failed := &failures{}
	for _, at := range s.shards {
		node, err := s.node(ctx, at)
		if err != nil {
			failed.add(explain(err))
			continue
		}
		groups[node] = append(groups[node], at)
	}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for node, shards := range groups {
		wg.Go(func() {
			err := s.guarded("work on a server of the store", func() error { return f(ctx, node, shards) })
			if err != nil {
				s.moved(ctx, err)
			}
			mu.Lock()
			defer mu.Unlock()
			if failed.some = failed.some || err == nil; err != nil {
				failed.add(err)
			}
		})
	}
	wg.Wait()
	return failed.err()
}

// head is the first member of a sorted set of a shard.
type head struct {
	at    keys
	score float64 // when it is due, in ms
}

// headTime bounds the look at one server's heads. One that hangs delays what the others have once, by so much.
const headTime = time.Second

// heads returns the first member of a sorted set of each shard, soonest first, and the time of the server that is ahead.
// With an error it returns what the other servers have.
func (s *Store) heads(ctx context.Context, name func(keys) string) (all []head, now time.Time, err error) {
	var mu sync.Mutex
	err = s.byNode(ctx, func(ctx context.Context, node redis.UniversalClient, shards []keys) error {
		if err := s.rests.of(node); err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(ctx, headTime)
		defer cancel()
		pipe := node.Pipeline()
		clock := pipe.Time(ctx)
		firsts := make([]*redis.ZSliceCmd, len(shards))
		for n, at := range shards {
			firsts[n] = pipe.ZRangeWithScores(ctx, name(at), 0, 0)
		}
		if _, err := pipe.Exec(ctx); err != nil {
			if !answered(err) && len(s.shards) > 1 {
				s.rests.begin(s, node, err)
			}
			return explain(s.saidBy(node, err))
		}
		mu.Lock()
		defer mu.Unlock()
		for n, first := range firsts {
			if len(first.Val()) > 0 {
				all = append(all, head{shards[n], first.Val()[0].Score})
			}
		}
		if clock.Val().After(now) {
			now = clock.Val()
		}
		return nil
	})
	slices.SortFunc(all, func(a, b head) int { return int(a.score - b.score) })
	return all, now, err
}

// grouped sorts names by shard.
func (s *Store) grouped(names []string) map[keys][]string {
	groups := map[keys][]string{}
	for _, name := range names {
		groups[s.of(name)] = append(groups[s.of(name)], name)
	}
	return groups
}

// inOrder lists the shards of a group, so that work on several of them is always done in the same order.
func inOrder(groups map[keys][]string) []keys { return slices.Sorted(maps.Keys(groups)) }
