package holdstore

import (
	"context"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"

	"github.com/recall-milter/recall-milter/holdstore/internal/nodes"
)

// source is where a search reads IDs from, of all shards: index entries, within bounds of time; or else sorted sets,
// one after the other, whose scores are an order to show holds in.
type source struct {
	shards       []nodes.Shard
	states       []State
	entries      []string
	since, until time.Time // of HeldAt, about; zero: any
	count        int       // at the beginning
}

// sorted says whether pages come in an order to show holds in.
func (src *source) sorted() bool { return src.entries == nil }

// stateSource is everything in some states: what is under way, then what waits by its due moment, then records.
func stateSource(states []State) *source {
	src := &source{}
	for _, st := range []State{Releasing, Held, Recalled, Released} {
		if slices.Contains(states, st) {
			src.states = append(src.states, st)
		}
	}
	return src
}

// pages calls do with the IDs of a source, findPage at a time, until it says false: those of sets in the order of their
// scores over all shards. What leaves and enters the sets meanwhile, as what is claimed does, may be missed itself, and
// does not make it miss or repeat others.
func (s *Store) pages(ctx context.Context, src *source, do func(ids []string) (bool, error)) error {
	ids, err := s.listed(ctx, src.shards, src.entries)
	if err != nil {
		return err
	}
	for page := range slices.Chunk(heldWithin(ids, src.since, src.until), findPage) {
		if more, err := do(page); err != nil || !more {
			return err
		}
	}
	for _, st := range src.states {
		m := &merge{}
		for _, at := range src.shards {
			page := max(findPage/len(s.nodes.Shards), 50)
			m.walks = append(m.walks, s.walksIn(at, st, page)...)
		}
		for {
			ids, err := m.next(ctx, findPage)
			if err != nil {
				return err
			}
			if len(ids) == 0 {
				break
			}
			if more, err := do(ids); err != nil || !more {
				return err
			}
		}
	}
	return nil
}

// walksIn are those that together see everything that a shard has in a state. A record that leaves its shelf meanwhile
// is met once: the walk over the set where it goes reads no further than shelves were read before.
func (s *Store) walksIn(at nodes.Shard, st State, page int) []*walk {
	set := &walk{s: s, set: stateKey(at, st), min: "-inf", max: "+inf", page: page}
	if st != Released {
		return []*walk{set}
	}
	set.from = &walk{s: s, set: endsKey(at), min: "-inf", max: "+inf", page: page, shelves: at}
	return []*walk{set.from, set}
}

// merge reads several walks as one, in the order of their scores.
type merge struct {
	walks []*walk

	shelved map[string]bool // what was on shelves, of the last score
	last    float64
}

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
		if z := first.ready[0]; !m.again(first, z) {
			ids = append(ids, z.Member.(string))
		}
		first.ready = first.ready[1:]
	}
	return ids, nil
}

// again says whether a record was met on its shelf before: where it goes it has the same score.
func (m *merge) again(w *walk, z redis.Z) bool {
	id := z.Member.(string)
	if w.shelves == "" {
		return w.from != nil && z.Score == m.last && m.shelved[id]
	}
	if m.shelved == nil || z.Score != m.last {
		m.shelved, m.last = map[string]bool{}, z.Score
	}
	m.shelved[id] = true
	return false
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

	shelves nodes.Shard // where the members are shelves, and what is on them is wanted; "": they are IDs
	open    *shelfWalk
	whole   string // all that has a lower score was read from shelves

	from   *walk  // over the shelves from which records come here; nil: nothing does
	readTo string // all that is below was read
}

// maxTies bounds how many members with the same score are read again to find out what is new behind them.
const maxTies = 2000

// fill makes sure that something is ready, unless the end is reached.
func (w *walk) fill(ctx context.Context) (bool, error) {
	if w.shelves != "" {
		return w.fillFromShelves(ctx)
	}
	for len(w.ready) == 0 && !w.ended {
		most, err := w.most(ctx)
		if err != nil || most == w.readTo {
			return false, err
		}
		skip := max(len(w.ties)-maxTies, 0)
		count := w.page + len(w.ties) - skip
		part := &redis.ZRangeBy{Min: w.min, Max: most, Offset: int64(skip), Count: int64(count)}
		some, err := w.s.nodes.Client.ZRangeByScoreWithScores(ctx, w.set, part).Result()
		if err != nil {
			return false, nodes.Explain(err)
		}
		w.take(some)
		if len(some) < count { // what comes here below that now was met on its shelf
			w.readTo, w.ended = most, most == w.max
			w.min, w.ties = strings.TrimPrefix(most, "("), nil
		}
	}
	return len(w.ready) > 0, nil
}

// most is up to which score a walk may read now.
func (w *walk) most(ctx context.Context) (string, error) {
	if w.from == nil {
		return w.max, nil
	}
	if _, err := w.from.fill(ctx); err != nil || w.from.ended {
		return w.max, err
	}
	return "(" + w.from.whole, nil
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

// findPage is how many holds one round trip reads.
const findPage = 500

// loadEach reads many holds, leaving out those that are gone meanwhile and, with an error at the end, those that can't
// be read.
func (s *Store) loadEach(ctx context.Context, ids []string) (holds []*Hold, damaged error, err error) {
	return s.loadKept(ctx, ids, func(*Hold) bool { return true })
}

// loadKept is loadEach of the holds that keep lets stay. What it reads at a time is bounded: a record may be as large
// as the largest envelope.
func (s *Store) loadKept(
	ctx context.Context, ids []string, keep func(*Hold) bool,
) (holds []*Hold, damaged error, err error) {
	err = s.inParts(ctx, ids, func(some []string) error {
		records, err := s.recordsOf(ctx, some)
		if err != nil {
			return err
		}
		all, wrong, err := s.parseEach(some, records)
		for n, h := range all {
			if wrong[n] != nil {
				damaged = wrong[n]
			} else if h != nil && keep(h) {
				holds = append(holds, h)
			}
		}
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	return holds, damaged, nil
}

// parseFew is how many records one processor reads: for fewer another one isn't woken up.
const parseFew = 50

// parseEach is parseHold of many on all processors: a search of a million waits longer for it than for Redis. The hold
// of an empty record is nil.
func (s *Store) parseEach(ids []string, records []map[string]string) (holds []*Hold, wrong []error, err error) {
	holds, wrong = make([]*Hold, len(ids)), make([]error, len(ids))
	share := max(parseFew, len(ids)/runtime.GOMAXPROCS(0)+1)
	var readers errgroup.Group
	for from := 0; from < len(ids); from += share {
		readers.Go(func() error {
			return s.nodes.Guard("the reading of records", func() error {
				for n := from; n < min(from+share, len(ids)); n++ {
					if len(records[n]) > 0 {
						holds[n], wrong[n] = s.parseHold(ids[n], records[n])
					}
				}
				return nil
			})
		})
	}
	return holds, wrong, readers.Wait()
}

// gather sends the same commands to all shards, and returns their answers together; with ErrPartial those that came.
func (s *Store) gather(
	ctx context.Context, queue func(pipe redis.Pipeliner, at nodes.Shard) []*redis.StringSliceCmd,
) (all []string, err error) {
	shards, partly := s.nodes.Visible(ctx)
	if len(shards) == 0 {
		return nil, partly
	}
	pipe := s.nodes.Client.Pipeline()
	var replies []*redis.StringSliceCmd
	for _, at := range shards {
		replies = append(replies, queue(pipe, at)...)
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, nodes.Explain(err)
	}
	for _, r := range replies {
		all = append(all, r.Val()...)
	}
	return all, partly
}

// A record is as large as its envelope, megabytes for thousands of long addresses. So a search reads the sizes of many
// first, and then some at a time; what all searches of a client have under way is bounded together.
const (
	partBytes   = 4 << 20  // of the records that are read at a time
	searchBytes = 32 << 20 // of all searches
	partFew     = 4        // records that are read without asking for their size
)

// searches bounds what searches have under way.
type searches struct{ room *semaphore.Weighted }

// inParts calls read for some IDs after the other.
func (s *Store) inParts(ctx context.Context, ids []string, read func(some []string) error) error {
	for len(ids) > 0 {
		n, bytes, err := s.part(ctx, ids[:min(len(ids), findPage)])
		if err != nil {
			return err
		}
		if err := s.searches.room.Acquire(ctx, bytes); err != nil {
			return nodes.Explain(err)
		}
		err = read(ids[:n])
		s.searches.room.Release(bytes)
		if err != nil {
			return err
		}
		ids = ids[n:]
	}
	return nil
}

// part says how many of the first IDs are read at a time, and how many bytes that is.
func (s *Store) part(ctx context.Context, ids []string) (n int, bytes int64, err error) {
	if len(ids) <= partFew {
		return len(ids), partBytes, nil
	}
	pipe := s.nodes.Client.Pipeline()
	sizes := make([]*redis.IntCmd, len(ids))
	for i, id := range ids {
		sizes[i] = pipe.HStrLen(ctx, holdKey(s.nodes.Of(id), id), "p")
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return 0, 0, nodes.Explain(err)
	}
	for n < len(ids) && (n == 0 || bytes+max(sizes[n].Val(), shelvedBytes) <= partBytes) {
		bytes += max(sizes[n].Val(), shelvedBytes)
		n++
	}
	return n, min(bytes, searchBytes), nil
}
