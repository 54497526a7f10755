package holdstore

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/recall-milter/recall-milter/holdstore/internal/nodes"
)

// source is where a search reads IDs from: the same sorted sets of all shards, within bounds of their scores.
type source struct {
	shards   []nodes.Shard
	sets     []func(nodes.Shard) string
	min, max string
	count    int  // at the beginning
	sorted   bool // the sets come one after the other, and their scores are an order to show holds in
}

// stateSource is everything in some states: what is under way, then what waits by its due moment, then records.
func stateSource(states []State) *source {
	src := &source{min: "-inf", max: "+inf", sorted: true}
	for _, st := range []State{Releasing, Held, Recalled, Released} {
		if slices.Contains(states, st) {
			src.sets = append(src.sets, func(at nodes.Shard) string { return stateKey(at, st) })
		}
	}
	return src
}

// sources lists what could answer a query.
func (s *Store) sources(q Query) []*source {
	all := []*source{stateSource(q.States)}
	from, to := "-inf", "+inf"
	if !q.Since.IsZero() {
		from = stamp(q.Since)
	}
	if !q.Until.IsZero() {
		to = stamp(q.Until)
	}
	for _, by := range []struct {
		kind   string
		values []string
	}{{"s", []string{q.Login}}, {"s", names(q.Sender)}, {"r", []string{q.Recipient}}, {"c", []string{q.Client}}, {"m", bothWays(q.MessageID)}} {
		if by.values[0] == "" || by.kind != "m" && strings.ContainsAny(by.values[0], "*?/<") {
			continue
		}
		src := &source{min: from, max: to}
		for _, entry := range s.entries(by.kind, by.values...) {
			src.sets = append(src.sets, func(at nodes.Shard) string { return indexKey(at, entry) })
		}
		all = append(all, src)
	}
	return all
}

// bothWays is a Message-ID with and without angle brackets: records have it as the message had it.
func bothWays(id string) []string {
	if id == "" {
		return []string{""}
	}
	bare := strings.Trim(id, "<>")
	return []string{"<" + bare + ">", bare}
}

// narrowest counts what each source of a query has in some shards, and returns the smallest.
func (s *Store) narrowest(ctx context.Context, q Query, shards []nodes.Shard) (*source, error) {
	all := s.sources(q)
	counts := make([][]*redis.IntCmd, len(all))
	pipe := s.nodes.Client.Pipeline()
	for n, src := range all {
		src.shards = shards
		for _, set := range src.sets {
			for _, at := range shards {
				counts[n] = append(counts[n], pipe.ZCount(ctx, set(at), src.min, src.max))
			}
		}
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, nodes.Explain(err)
	}
	best := all[0]
	for n, src := range all {
		for _, c := range counts[n] {
			src.count += int(c.Val())
		}
		if src.count < best.count {
			best = src
		}
	}
	return best, nil
}

// pages calls do with the IDs of a source, findPage at a time, in the order of their scores over all shards, until it
// says false. What leaves and enters the sets meanwhile does not make it miss or repeat others.
func (s *Store) pages(ctx context.Context, src *source, do func(ids []string) (bool, error)) error {
	seen := map[string]bool{} // a hold may stand in two index sets
	for n, set := range src.sets {
		m := &merge{}
		for _, at := range src.shards {
			m.walks = append(m.walks, &walk{s: s, set: set(at), min: src.min, max: src.max, page: max(findPage/len(s.nodes.Shards), 50)})
		}
		for {
			ids, err := m.next(ctx, findPage)
			if err != nil {
				return err
			}
			if len(ids) == 0 {
				break
			}
			if !src.sorted && len(src.sets) > 1 {
				ids = slices.DeleteFunc(ids, func(id string) bool { return n > 0 && seen[id] })
				for _, id := range ids {
					seen[id] = true
				}
			}
			if more, err := do(ids); err != nil || !more {
				return err
			}
		}
	}
	return nil
}

// merge reads several walks as one.
type merge struct{ walks []*walk }

// next returns the next IDs; none: it is at the end.
func (m *merge) next(ctx context.Context, n int) (ids []string, err error) {
	for len(ids) < n {
		var first *walk
		for _, w := range m.walks {
			ok, err := w.fill(ctx)
			if err != nil {
				return nil, err
			}
			if ok && (first == nil || w.ready[0].Score < first.ready[0].Score) {
				first = w
			}
		}
		if first == nil {
			break
		}
		ids = append(ids, first.ready[0].Member.(string))
		first.ready = first.ready[1:]
	}
	return ids, nil
}

// walk reads one sorted set in pages.
type walk struct {
	s        *Store
	set      string
	min, max string
	page     int

	ready []redis.Z // read, not yet taken
	ended bool
	last  float64 // score of the last that was read
	ties  map[string]bool
}

// maxTies bounds how many members with the same score are read again to find out what is new behind them.
const maxTies = 2000

// fill makes sure that something is ready, unless the end is reached.
func (w *walk) fill(ctx context.Context) (bool, error) {
	for len(w.ready) == 0 && !w.ended {
		skip := max(len(w.ties)-maxTies, 0)
		count := w.page + len(w.ties) - skip
		some, err := w.s.nodes.Client.ZRangeByScoreWithScores(ctx, w.set, &redis.ZRangeBy{Min: w.min, Max: w.max, Offset: int64(skip), Count: int64(count)}).Result()
		if err != nil {
			return false, nodes.Explain(err)
		}
		w.ended = len(some) < count
		w.take(some)
	}
	return len(w.ready) > 0, nil
}

// take keeps what was not read before: a page begins with the score that the one before it ended with.
func (w *walk) take(some []redis.Z) {
	for _, z := range some {
		id := z.Member.(string)
		if w.ties[id] && z.Score == w.last {
			continue
		}
		if w.ties == nil || z.Score != w.last {
			w.ties = map[string]bool{}
		}
		w.last = z.Score
		w.ties[id] = true
		w.ready = append(w.ready, z)
	}
	if len(some) > 0 {
		w.min = strconv.FormatFloat(w.last, 'f', -1, 64)
	}
}
