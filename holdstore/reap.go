package holdstore

import (
	"context"
	"slices"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"

	"github.com/recall-milter/recall-milter/holdstore/internal/nodes"
)

const (
	reapBatch    = 100 // holds per script: one run must not keep the others waiting
	scanBatch    = 500 // keys that one step of the slow walk over everything looks at
	reapsInRound = 700 // in an hour, when Reap is called every 5 seconds
	scansMost    = 40  // steps of one Reap
	oldestLooked = 20  // members of an index that one look sees
)

// Reaped counts what one Reap did.
type Reaped struct {
	LeasesExpired, RecordsForgotten int
	Repaired                        int // holds that no loop would have met, and index entries of nothing

	More bool // a batch was full: the next call has as much to do at once
}

// reapScript takes expired leases back and forgets what has ended: reap.lua.
var reapScript = drain(lua("reap"))

// repairScript puts a hold that no state's set knows back to where a loop meets it: one that is releasing without
// a lease would otherwise be stuck forever. ARGV: record ms, ids... Output: how many were put back.
var repairScript = drain(`
local repaired = 0
for i = 2, #ARGV do
  local id, state = ARGV[i], get(ARGV[i], 'state')
  if state and not redis.call('ZSCORE', P .. 'z:' .. state, id) then
    repaired = repaired + 1
    if state == 'held' then redis.call('ZADD', P .. 'z:held', get(id, 'due'), id)
    elseif state == 'releasing' then redis.call('ZADD', P .. 'z:releasing', int(now), id)
    else redis.call('ZADD', P .. 'z:' .. state, int(now + ARGV[1]), id) end
  end
end
return repaired
`)

// unlistScript takes the IDs of holds that are gone out of indexes. It looks at the oldest only: what is listed before
// them goes with its record, in time. ARGV: how many of each, names of sorted sets... Output: how many IDs left.
var unlistScript = drain(`
local left = 0
for i = 2, #ARGV do
  if redis.call('TYPE', P .. ARGV[i]).ok == 'zset' then
    for _, id in ipairs(redis.call('ZRANGE', P .. ARGV[i], 0, ARGV[1] - 1)) do
      if redis.call('EXISTS', P .. 'h:' .. id) == 0 then left = left + redis.call('ZREM', P .. ARGV[i], id) end
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
		counts, err := s.nodes.Run(ctx, at, reapScript, reapBatch, eventLine(Event{Verb: "lease expired"}),
			unconfirmedFor.Milliseconds()).Int64Slice()
		if err != nil || len(counts) != 2 {
			return done, nodes.Explain(err)
		}
		done.LeasesExpired += int(counts[0])
		done.RecordsForgotten += int(counts[1])
		done.More = done.More || counts[0] >= reapBatch || counts[1] >= reapBatch
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
	}
	return done, err
}

// repairSome goes on with the slow walk over all keys of a server, so fast that it is round in about an hour.
func (s *Store) repairSome(ctx context.Context, node redis.UniversalClient) (repaired int, err error) {
	size, err := node.DBSize(ctx).Result()
	if err != nil {
		return 0, nodes.Explain(err)
	}
	for range min(size/(scanBatch*reapsInRound)+1, scansMost) {
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
	ids, indexes := map[nodes.Shard][]string{}, map[nodes.Shard][]string{}
	for _, name := range names {
		at, rest := s.shardOf(name)
		id, isHold := strings.CutPrefix(rest, "h:")
		switch {
		case at == "":
		case isHold:
			ids[at] = append(ids[at], id)
		case strings.HasPrefix(rest, "i:"):
			indexes[at] = append(indexes[at], rest)
		}
	}
	for _, at := range nodes.InOrder(ids) {
		n, err := s.repairHolds(ctx, at, ids[at])
		if repaired += n; err != nil {
			return repaired, err
		}
	}
	for _, at := range nodes.InOrder(indexes) {
		for some := range slices.Chunk(indexes[at], reapBatch) {
			n, err := s.nodes.Run(ctx, at, unlistScript, append([]any{oldestLooked}, anys(some)...)...).Int()
			if repaired += n; err != nil {
				return repaired, nodes.Explain(err)
			}
		}
	}
	return repaired, nil
}

func (s *Store) repairHolds(ctx context.Context, at nodes.Shard, ids []string) (repaired int, err error) {
	for some := range slices.Chunk(ids, reapBatch) {
		n, err := s.nodes.Run(ctx, at, repairScript, append([]any{s.recordTime().Milliseconds()},
			anys(some)...)...).Int()
		if repaired += n; err != nil {
			return repaired, nodes.Explain(err)
		}
	}
	return repaired, nil
}

// everything is the pattern of the names of all keys.
func (s *Store) everything() string { return globQuote(s.opt.Prefix) + ":{mh*}:*" }

// scan remembers how far a slow walk over the keys of each server is.
type scan struct {
	mu      sync.Mutex
	cursors map[redis.UniversalClient]uint64
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
}

// globQuote keeps Redis from reading a name as a pattern.
func globQuote(name string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`, `]`, `\]`).Replace(name)
}
