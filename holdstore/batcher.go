package holdstore

import (
	"context"
	"slices"
	"sync"
)

// batcher sends what several callers have for one shard in one script, because Redis syncs its disk once for each
// script. What comes while batches are on their way goes with the next one. It never waits for more to come.
type batcher[T comparable] struct {
	most int                   // of one batch
	goes int                   // batches on their way at a time
	full func(batch []T) bool  // a batch takes no more; nil: only most counts
	send func(batch []T) error // returns when each of them has its outcome; an error is the outcome of all

	mu      sync.Mutex
	waiting []waiter[T]
	going   int
}

type waiter[T comparable] struct {
	what T
	done chan error
}

// do returns when the outcome is there, with the error of the batch. When ctx ends before, it returns the error of ctx,
// and the outcome may still come.
func (c *batcher[T]) do(ctx context.Context, work *sync.WaitGroup, what T) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	p := waiter[T]{what, make(chan error, 1)}
	c.mu.Lock()
	c.waiting = append(c.waiting, p)
	if c.going < c.goes {
		c.going++
		work.Go(c.run)
	}
	c.mu.Unlock()
	select {
	case err := <-p.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// leave takes something back that still waits; false: it was sent already.
func (c *batcher[T]) leave(what T) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	before := len(c.waiting)
	c.waiting = slices.DeleteFunc(c.waiting, func(p waiter[T]) bool { return p.what == what })
	return len(c.waiting) < before
}

// run sends batches until nobody waits. It ignores the contexts of single callers: the other callers of the batch rely
// on its outcome.
func (c *batcher[T]) run() {
	for batch, done := c.next(); len(batch) > 0; batch, done = c.next() {
		err := c.send(batch)
		for _, d := range done {
			d <- err
		}
	}
}

// next takes a batch; none: nobody waits, and the next caller starts run again.
func (c *batcher[T]) next() (batch []T, done []chan error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(batch) < min(len(c.waiting), c.most) && (c.full == nil || !c.full(batch)) {
		p := c.waiting[len(batch)]
		batch, done = append(batch, p.what), append(done, p.done)
	}
	c.waiting = slices.Delete(c.waiting, 0, len(batch))
	if len(batch) == 0 {
		c.going--
	}
	return batch, done
}
