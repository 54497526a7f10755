package holdstore

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// findPage is how many holds one round trip reads.
const findPage = 500

// Get returns one hold by ID (any case). ErrNotFound.
func (s *Store) Get(ctx context.Context, id string) (*Hold, error) {
	canonical, ok := canonicalID(id)
	if !ok {
		return nil, fmt.Errorf("%q: %w", id, ErrNotFound)
	}
	fields, err := s.redis.HGetAll(ctx, s.of(canonical).hold(canonical)).Result()
	if err != nil {
		return nil, explain(err)
	}
	if len(fields) == 0 {
		return nil, fmt.Errorf("%s: %w", canonical, ErrNotFound)
	}
	return s.parseHold(canonical, fields)
}

// load reads many holds in one round trip, leaving out those that are gone meanwhile.
func (s *Store) load(ctx context.Context, ids []string) ([]*Hold, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	pipe := s.redis.Pipeline()
	replies := make([]*redis.MapStringStringCmd, len(ids))
	for n, id := range ids {
		replies[n] = pipe.HGetAll(ctx, s.of(id).hold(id))
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, explain(err)
	}
	var holds []*Hold
	for n, id := range ids {
		if len(replies[n].Val()) == 0 {
			continue
		}
		h, err := s.parseHold(id, replies[n].Val())
		if err != nil {
			return nil, err
		}
		holds = append(holds, h)
	}
	return holds, nil
}

// Resolve finds holds by REF: hold ID, Message-ID with or without <>, or the MTA's queue ID. Empty: none.
func (s *Store) Resolve(ctx context.Context, ref string) ([]*Hold, error) {
	h, err := s.Get(ctx, ref)
	if err == nil {
		return []*Hold{h}, nil
	}
	if !errors.Is(err, ErrNotFound) {
		return nil, err
	}
	bare := strings.Trim(ref, "<>")
	pipe := s.redis.Pipeline()
	var found []*redis.StringSliceCmd
	for _, entry := range []string{indexEntry("m", "<"+bare+">"), indexEntry("m", bare), indexEntry("q", ref)} {
		for _, at := range s.shards {
			found = append(found, pipe.ZRange(ctx, at.index(entry), 0, findPage-1))
		}
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, explain(err)
	}
	var ids []string
	for _, some := range found {
		ids = append(ids, some.Val()...)
	}
	slices.Sort(ids)
	return s.load(ctx, slices.Compact(ids))
}

// Find yields what matches, soonest due first.
func (s *Store) Find(ctx context.Context, q Query) iter.Seq2[*Hold, error] {
	if len(q.States) == 0 {
		q.States = []State{Held, Releasing}
	}
	return func(yield func(*Hold, error) bool) {
		m, err := newMatcher(q)
		if err != nil {
			yield(nil, err)
			return
		}
		ids, err := s.candidates(ctx, q)
		var found []*Hold
		for page := range slices.Chunk(ids, findPage) {
			var some []*Hold
			if some, err = s.load(ctx, page); err != nil {
				break
			}
			for _, h := range some {
				var ok bool
				if ok, err = s.matches(ctx, m, h); err != nil {
					break
				}
				if ok {
					found = append(found, h)
				}
			}
		}
		if err != nil {
			yield(nil, err)
			return
		}
		slices.SortStableFunc(found, func(a, b *Hold) int { return a.Due.Compare(b.Due) })
		for _, h := range found {
			if !yield(h, nil) {
				return
			}
		}
	}
}

// candidates lists the holds to look at: those of the narrowest index, or all of the states asked for.
func (s *Store) candidates(ctx context.Context, q Query) ([]string, error) {
	for _, by := range []struct{ kind, value string }{
		{"l", q.Login}, {"s", q.Sender}, {"r", q.Recipient}, {"c", q.Client},
	} {
		if by.value == "" || strings.ContainsAny(by.value, "*?/") {
			continue
		}
		bounds := &redis.ZRangeBy{Min: "-inf", Max: "+inf"}
		if !q.Since.IsZero() {
			bounds.Min = stamp(q.Since)
		}
		if !q.Until.IsZero() {
			bounds.Max = stamp(q.Until)
		}
		return s.gather(ctx, func(pipe redis.Pipeliner, at keys) *redis.StringSliceCmd {
			return pipe.ZRangeByScore(ctx, at.index(indexEntry(by.kind, by.value)), bounds)
		})
	}
	var ids []string
	seen := map[string]bool{}
	for _, st := range q.States {
		some, err := s.inState(ctx, st)
		if err != nil {
			return nil, err
		}
		for _, id := range some {
			if !seen[id] {
				seen[id] = true
				ids = append(ids, id)
			}
		}
	}
	return ids, nil
}

// inState lists all holds in a state.
func (s *Store) inState(ctx context.Context, st State) ([]string, error) {
	return s.gather(ctx, func(pipe redis.Pipeliner, at keys) *redis.StringSliceCmd {
		return pipe.ZRange(ctx, at.state(st), 0, -1)
	})
}

// gather asks all shards the same, and returns their answers together.
func (s *Store) gather(ctx context.Context, ask func(pipe redis.Pipeliner, at keys) *redis.StringSliceCmd) (all []string, err error) {
	pipe := s.redis.Pipeline()
	replies := make([]*redis.StringSliceCmd, len(s.shards))
	for n, at := range s.shards {
		replies[n] = ask(pipe, at)
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, explain(err)
	}
	for _, r := range replies {
		all = append(all, r.Val()...)
	}
	return all, nil
}

// Stats counts.
type Stats struct {
	Count    map[State]int
	Bytes    int64         // content of held and releasing
	Oldest   time.Time     // HeldAt of the oldest held
	Lateness time.Duration // of the latest release; of several shards the largest
}

// Stats reads the counts.
func (s *Store) Stats(ctx context.Context) (Stats, error) {
	pipe := s.redis.Pipeline()
	var all []*shardStats
	for _, at := range s.shards {
		all = append(all, askStats(ctx, pipe, at))
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return Stats{}, explain(err)
	}
	out := Stats{Count: map[State]int{}}
	for _, st := range all {
		st.addTo(&out)
	}
	return out, nil
}

var allStates = []State{Held, Releasing, Released, Recalled}

// shardStats are the replies about one shard.
type shardStats struct {
	counts  []*redis.IntCmd
	oldest  *redis.ZSliceCmd
	numbers *redis.SliceCmd
}

func askStats(ctx context.Context, pipe redis.Pipeliner, at keys) *shardStats {
	st := &shardStats{}
	for _, state := range allStates {
		st.counts = append(st.counts, pipe.ZCard(ctx, at.state(state)))
	}
	st.oldest = pipe.ZRangeWithScores(ctx, at.age(), 0, 0)
	st.numbers = pipe.MGet(ctx, at.bytes(), at.late())
	return st
}

func (st *shardStats) addTo(out *Stats) {
	for n, state := range allStates {
		out.Count[state] += int(st.counts[n].Val())
	}
	if first := st.oldest.Val(); len(first) > 0 {
		if at := time.UnixMilli(int64(first[0].Score)).UTC(); out.Oldest.IsZero() || at.Before(out.Oldest) {
			out.Oldest = at
		}
	}
	number := func(n int) int64 {
		text, _ := st.numbers.Val()[n].(string)
		v, _ := strconv.ParseInt(text, 10, 64)
		return v
	}
	out.Bytes += number(0)
	out.Lateness = max(out.Lateness, time.Duration(number(1))*time.Millisecond)
}
