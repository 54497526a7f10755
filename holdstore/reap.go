package holdstore

import (
	"context"
	"slices"
	"sync"

	"github.com/redis/go-redis/v9"

	"github.com/recall-milter/recall-milter/holdstore/internal/nodes"
)

const (
	reapBatch     = 100 // holds per script: one run must not keep the others waiting
	scanBatch     = 500 // keys that one step of the slow walk over everything looks at
	reapsInRound  = 700 // in an hour, when Reap is called every 5 seconds
	scansMost     = 40  // steps of one Reap
	membersLooked = 20  // members of an index entry that one look sees
)

// Reaped counts what one Reap did.
type Reaped struct {
	LeasesExpired, RecordsForgotten int
	Repaired                        int // holds that no loop would have met, and index entries of nothing

	More bool // a batch was full: the next call has as much to do at once
}

// reapScript takes expired leases back and forgets what has ended: reap.lua.
var reapScript = drain(lua("reap"))

// repairScript puts holds and jobs back to where loops and searches meet them: repair.lua.
var repairScript = drain(lanes + lua("repair"))

// repairIndexScript repairs index entries: it takes out IDs that are there although their holds are gone. Usually erase
// in lib.lua has done that. Of each entry it looks at some. ARGV: how many of each, names of sets... Output: how many
// IDs left.
var repairIndexScript = drain(`
local left = 0
for i = 2, #ARGV do
  for _, member in ipairs(redis.call('SRANDMEMBER', P .. ARGV[i], ARGV[1])) do
    if not there(idOf(member)) then
      left = left + redis.call('SREM', P .. ARGV[i], member)
    end
  end
end
return left
`)

// Reap takes expired leases back to held, forgets expired records, and repairs holds that no state lists.
// Bounded work per call: call it every few seconds, and at once when there is more.
func (s *Store) Reap(ctx context.Context) (Reaped, error) {
	var mu sync.Mutex
	var total Reaped
	err := s.nodes.ByNode(ctx, func(ctx context.Context, node redis.UniversalClient, shards []nodes.Shard) error {
		done, err := s.reapNode(ctx, node, shards)
		mu.Lock()
		defer mu.Unlock()
		total.LeasesExpired += done.LeasesExpired
		total.RecordsForgotten += done.RecordsForgotten
		total.Repaired += done.Repaired
		total.More = total.More || done.More
		return err
	})
	return total, err
}

func (s *Store) reapNode(ctx context.Context, node redis.UniversalClient, shards []nodes.Shard) (done Reaped,
	err error) {
	now, err := node.Time(ctx).Result()
	if err != nil {
		return done, nodes.Explain(err)
	}
	for _, at := range shards {
		leases, records, err := s.reapShard(ctx, node, at)
		if err != nil {
			return done, err
		}
		done.LeasesExpired += leases
		done.RecordsForgotten += records
		done.More = done.More || leases >= reapBatch || records >= reapBatch
		more, err := s.giveWay(ctx, at)
		if done.More = done.More || more; err != nil {
			return done, err
		}
		if err := s.cutTrail(ctx, node, at, now); err != nil {
			return done, err
		}
	}
	if !done.More {
		done.Repaired, err = s.repairSome(ctx, node)
		done.More = err == nil && s.scanned.hurries(node)
	}
	return done, err
}

// reapShard runs reapScript, and tells what is damaged.
func (s *Store) reapShard(ctx context.Context, node redis.UniversalClient, at nodes.Shard) (leases, records int,
	err error) {
	lines := 0
	if s.damaged != nil {
		lines = damageLines
	}
	args := []any{reapBatch, eventLine(Event{Verb: "lease expired"}), unconfirmedFor.Milliseconds(), lines}
	parts, err := s.nodes.Run(ctx, at, reapScript, append(args, sharedKeys...)...).Slice()
	if err != nil || len(parts) != 3 {
		return 0, 0, nodes.Explain(err)
	}
	ended, _ := parts[0].(int64)
	forgotten, _ := parts[1].(int64)
	told, _ := parts[2].([]any)
	for _, line := range told {
		text, _ := line.(string)
		s.damaged(text)
		s.scanned.hurry(node) // what it made loops and searches miss is put back at once
	}
	return int(ended), int(forgotten), nil
}

// repairSome goes on with the slow walk over all keys of a server, so fast that it is round in about an hour.
func (s *Store) repairSome(ctx context.Context, node redis.UniversalClient) (repaired int, err error) {
	size, err := node.DBSize(ctx).Result()
	if err != nil {
		return 0, nodes.Explain(err)
	}
	steps := min(size/(scanBatch*reapsInRound)+1, scansMost)
	if s.scanned.hurries(node) {
		steps = scansMost
	}
	for range steps {
		names, cursor, err := node.Scan(ctx, s.scanned.at(node), s.everything(), scanBatch).Result()
		if err != nil {
			return repaired, nodes.Explain(err)
		}
		s.scanned.set(node, cursor)
		n, err := s.repair(ctx, names)
		if repaired += n; err != nil || cursor == 0 {
			return repaired, err
		}
	}
	return repaired, nil
}

// repair looks at what some keys say, and repairs what does not fit.
func (s *Store) repair(ctx context.Context, names []string) (repaired int, err error) {
	indexes := map[nodes.Shard][]string{}
	put := map[string]map[nodes.Shard][]string{"h:": {}, "r:": {}, "j:": {}}
	for _, name := range names {
		at, rest := s.shardOf(name)
		begin := rest[:min(len(rest), 2)]
		switch {
		case at == "":
		case put[begin] != nil:
			put[begin][at] = append(put[begin][at], rest[2:])
		case begin == "i:":
			indexes[at] = append(indexes[at], rest)
		}
	}
	for _, begin := range []string{"h:", "r:", "j:"} {
		for _, at := range nodes.InOrder(put[begin]) {
			n, err := s.putBack(ctx, at, begin, put[begin][at])
			if repaired += n; err != nil {
				return repaired, err
			}
		}
	}
	for _, at := range nodes.InOrder(indexes) {
		for some := range slices.Chunk(indexes[at], reapBatch) {
			n, err := s.nodes.Run(ctx, at, repairIndexScript, append([]any{membersLooked}, anys(some)...)...).Int()
			if repaired += n; err != nil {
				return repaired, nodes.Explain(err)
			}
		}
	}
	return repaired, nil
}

func (s *Store) putBack(ctx context.Context, at nodes.Shard, begin string, names []string) (repaired int, err error) {
	atOnce := reapBatch
	if begin == "r:" {
		atOnce = 1 // each has many records
	}
	for some := range slices.Chunk(names, atOnce) {
		args := append([]any{begin, s.recordTime().Milliseconds()}, anys(some)...)
		n, err := s.nodes.Run(ctx, at, repairScript, args...).Int()
		if repaired += n; err != nil {
			return repaired, nodes.Explain(err)
		}
	}
	return repaired, nil
}

// scan remembers how far a slow walk over the keys of each server is.
type scan struct {
	mu      sync.Mutex
	cursors map[redis.UniversalClient]uint64
	rounds  map[redis.UniversalClient]int // at full speed: ends of the walk that are still to come
}

// hurry makes the walk over a server go at full speed, until it has been everywhere once more.
func (s *scan) hurry(node redis.UniversalClient) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.rounds == nil {
		s.rounds = map[redis.UniversalClient]int{}
	}
	s.rounds[node] = 1
	if s.cursors[node] != 0 {
		s.rounds[node] = 2
	}
}

func (s *scan) hurries(node redis.UniversalClient) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rounds[node] > 0
}

func (s *scan) at(node redis.UniversalClient) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cursors[node]
}

func (s *scan) set(node redis.UniversalClient, cursor uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cursors == nil {
		s.cursors = map[redis.UniversalClient]uint64{}
	}
	s.cursors[node] = cursor
	if cursor == 0 && s.rounds[node] > 0 {
		s.rounds[node]--
	}
}
