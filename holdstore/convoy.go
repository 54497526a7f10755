package holdstore

import (
	"context"
	"sync"
)

// convoy sends what several callers have for one shard at the same moment in one go: what comes while one batch is on its way
// goes with the next. Nobody waits for more to come.
type convoy[T any] struct {
	most int             // of one batch
	send func(batch []T) // returns when each of them has its outcome

	mu      sync.Mutex
	waiting []passenger[T]
	going   bool
}

type passenger[T any] struct {
	what T
	done chan struct{}
}

// do returns when the outcome is there, or with the error of a context that ended before; then it may still come.
func (c *convoy[T]) do(ctx context.Context, work *sync.WaitGroup, what T) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	p := passenger[T]{what, make(chan struct{})}
	c.mu.Lock()
	c.waiting = append(c.waiting, p)
	if !c.going {
		c.going = true
		work.Go(c.run)
	}
	c.mu.Unlock()
	select {
	case <-p.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// run sends batches until nobody waits. It does not end with the context of one that waits: the others' outcome counts.
func (c *convoy[T]) run() {
	for batch := c.next(); len(batch) > 0; batch = c.next() {
		all := make([]T, len(batch))
		for n, p := range batch {
			all[n] = p.what
		}
		c.send(all)
		for _, p := range batch {
			close(p.done)
		}
	}
}

// next takes a batch; none: nobody waits, and the next who comes begins anew.
func (c *convoy[T]) next() []passenger[T] {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := min(len(c.waiting), c.most)
	batch := c.waiting[:n:n]
	c.waiting = c.waiting[n:]
	c.going = n > 0
	return batch
}
