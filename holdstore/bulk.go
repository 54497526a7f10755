package holdstore

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"sync"

	"github.com/recall-milter/recall-milter/holdstore/internal/nodes"
)

const (
	bulkBatch = 100 // holds that one script does something to: others wait some milliseconds for it
	bulkHands = 4   // scripts on their way at a time

	namesMost = 16 << 10 // bytes of what names a message: what a sender typed is bounded when it comes in
)

// Acted is what became of a hold to which an action was done, or was not.
type Acted struct {
	ID  string
	Err error // nil: done; ErrPartly: recalled, but some recipients have it; ErrUnavailable: the reply never came

	names string // of one that was changed: storedTerms as JSON, without recipients
}

// Changed says whether something was done to the hold.
func (a Acted) Changed() bool { return a.Err == nil || errors.Is(a.Err, ErrPartly) }

// Named returns of a hold that was changed what names its message in a log: ID, QueueID, MessageID and Sender, and
// nothing else. Where the record can't be read it is the ID.
func (a Acted) Named() *Hold {
	h := &Hold{ID: a.ID}
	var t struct {
		QueueID   string `json:"q"`
		MessageID string `json:"m"`
		Sender    Path   `json:"s"`
	}
	if json.Unmarshal([]byte(a.names), &t) == nil {
		h.Submission = disarmed(Submission{QueueID: t.QueueID, MessageID: t.MessageID, Sender: t.Sender})
	}
	return h
}

// Bulk does an action to many holds, each of which is changed or not on its own. It calls told with the outcomes of
// each batch, from one goroutine at a time. An error of Bulk means that it did not come to the end; the same call does
// the rest. ErrPartial: some servers of a Cluster are away, and what the others have is done.
func (s *Store) Bulk(ctx context.Context, d Action, ids []string, a Actor, told func([]Acted)) error {
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
	told   func([]Acted)
	failed nodes.Failures
}

// do does the action to a batch, and reports its outcomes unless it is certain that nothing was done.
func (b *bulk) do(ctx context.Context, batch []string) {
	at := b.s.nodes.Of(batch[0])
	var acted []Acted
	err, sent := b.s.nodes.Skipped(ctx, at), false
	if err == nil {
		acted, err = b.s.do(ctx, b.d, at, batch, b.a)
		b.s.nodes.NoteSilence(ctx, at, err)
		sent = !(nodes.Refused(err) || nodes.Unsent(err))
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if sent {
		if err != nil {
			acted = unanswered(batch, err)
		}
		b.told(acted)
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

// unanswered is a batch of which nobody knows what was done.
func unanswered(batch []string, err error) (acted []Acted) {
	for _, id := range batch {
		acted = append(acted, Acted{ID: id, Err: err})
	}
	return acted
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
