package holdstore

import (
	"cmp"
	"context"
	"slices"
	"sync"

	"github.com/recall-milter/recall-milter/holdstore/internal/nodes"
)

const (
	bulkBatch = 100 // holds that one script does something to: others wait some milliseconds for it
	bulkHands = 4   // scripts on their way at a time
)

// Bulk does an action to many holds, each of which is changed or not on its own. It calls told with the outcomes of
// each batch, from one goroutine at a time: an error for each of ids, nil for done, ErrPartly for recalled with some
// recipients sent before, ErrUnavailable for a reply that never came. An error of Bulk means that it did not come to
// the end; the same call does the rest. ErrPartial: some servers of a Cluster are away, and what the others have is
// done.
func (s *Store) Bulk(ctx context.Context, d Action, ids []string, a Actor,
	told func(ids []string, errs []error)) error {
	b := &bulk{s: s, d: d, a: a, told: told}
	ctx, b.stop = context.WithCancelCause(ctx)
	defer b.stop(nil)
	var wg sync.WaitGroup
	batches := make(chan []string)
	for range bulkHands {
		wg.Go(func() {
			for batch := range batches {
				// A batch that has begun is finished and reported, also when ctx ends.
				err := s.nodes.Guard("an action on a batch of holds", func() error {
					b.do(context.WithoutCancel(ctx), batch)
					return nil
				})
				if err != nil {
					b.stop(err)
				}
			}
		})
	}
	s.deal(ctx, ids, batches)
	wg.Wait()
	return cmp.Or(context.Cause(ctx), b.failed.Err())
}

// bulk is one Bulk under way.
type bulk struct {
	s    *Store
	d    Action
	a    Actor
	stop context.CancelCauseFunc

	mu     sync.Mutex
	told   func(ids []string, errs []error)
	failed nodes.Failures
}

// do does the action to a batch, and reports its outcomes unless it is certain that nothing was done.
func (b *bulk) do(ctx context.Context, batch []string) {
	at := b.s.nodes.Of(batch[0])
	var outcomes []error
	err, sent := b.s.nodes.Skipped(ctx, at), false
	if err == nil {
		outcomes, err = b.s.do(ctx, b.d, at, batch, b.a)
		b.s.nodes.NoteSilence(ctx, at, err)
		sent = !(nodes.Refused(err) || nodes.Unsent(err))
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if sent {
		if err != nil {
			outcomes = slices.Repeat([]error{err}, len(batch))
		}
		b.told(batch, outcomes)
	}
	switch {
	case err == nil:
		b.failed.Some = true
	case len(b.s.nodes.Shards) == 1:
		b.stop(err)
	default:
		b.failed.Add(err)
	}
}

// deal sends IDs in batches of one shard each, until ctx ends.
func (s *Store) deal(ctx context.Context, ids []string, batches chan<- []string) {
	defer close(batches)
	groups := s.nodes.Grouped(ids)
	for _, at := range nodes.InOrder(groups) {
		for batch := range slices.Chunk(groups[at], bulkBatch) {
			if ctx.Err() != nil {
				return
			}
			select {
			case batches <- batch:
			case <-ctx.Done():
				return
			}
		}
	}
}
