package holdstore

import (
	"cmp"
	"context"
	"slices"
	"strconv"

	"github.com/redis/go-redis/v9"

	"github.com/recall-milter/recall-milter/holdstore/internal/nodes"
)

// shelfWalk is how far a walk over what is on shelves is. It reads shelves in the order of their first records, and
// knows which records come next as soon as no shelf that is left can have one that ends sooner.
type shelfWalk struct {
	names *walk
	seen  map[string]bool // shelves; one comes again when its first record has gone
	later []redis.Z       // records that are not ready yet
}

// shelvesAtOnce is how many shelves a walk reads at a time.
const shelvesAtOnce = 8

// fillFromShelves is fill for what is on shelves.
func (w *walk) fillFromShelves(ctx context.Context) (bool, error) {
	if w.open == nil {
		names := *w
		names.shelves = ""
		w.open = &shelfWalk{names: &names, seen: map[string]bool{}}
	}
	o := w.open
	for len(w.ready) == 0 && !w.ended {
		more, err := o.names.fill(ctx)
		if err != nil {
			return false, err
		}
		some := o.names.ready[:min(len(o.names.ready), shelvesAtOnce)]
		o.names.ready = o.names.ready[len(some):]
		if err := w.read(ctx, some); err != nil {
			return false, err
		}
		slices.SortFunc(o.later, func(a, b redis.Z) int { return cmp.Compare(a.Score, b.Score) })
		n := len(o.later)
		if w.ended = !more; more {
			until := some[len(some)-1].Score
			w.whole = strconv.FormatFloat(until, 'f', -1, 64)
			n = slices.IndexFunc(o.later, func(z redis.Z) bool { return z.Score > until })
			if n < 0 {
				n = len(o.later)
			}
		}
		w.ready, o.later = slices.Clone(o.later[:n]), o.later[n:]
	}
	return len(w.ready) > 0, nil
}

// read adds the records on some shelves to what comes later.
func (w *walk) read(ctx context.Context, shelves []redis.Z) error {
	pipe := w.s.nodes.Client.Pipeline()
	replies := map[string]*redis.MapStringStringCmd{}
	for _, z := range shelves {
		if name := z.Member.(string); !w.open.seen[name] {
			w.open.seen[name] = true
			replies[name] = pipe.HGetAll(ctx, shelfKey(w.shelves, name))
		}
	}
	if len(replies) == 0 {
		return nil
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nodes.Explain(err)
	}
	for name, r := range replies {
		for field, value := range r.Val() {
			w.open.later = append(w.open.later, redis.Z{Score: float64(endOf(value)), Member: name + field})
		}
	}
	return nil
}
