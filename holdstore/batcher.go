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
	goes int                   // batches on their way at a time; more than one only when each of them has the most
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
// and the outcome may still come. A caller who finds nothing on its way, or so many waiting that another batch may go,
// sends the batch, and returns not before its end: handing it to another goroutine would cost more than the sending.
func (c *batcher[T]) do(ctx context.Context, work *sync.WaitGroup, what T) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	p := waiter[T]{what, make(chan error, 1)}
	c.mu.Lock()
	c.waiting = append(c.waiting, p)
	sends := c.going == 0 || c.going < c.goes && len(c.waiting) >= c.most
	if sends {
		c.going++
	}
	c.mu.Unlock()
	if sends {
		c.lead(work)
		select {
		case err := <-p.done:
			return err
		default: // it is not in this batch, or another one took it along
		}
	}
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

// lead sends one batch, and leaves what has come meanwhile to a goroutine.
func (c *batcher[T]) lead(work *sync.WaitGroup) {
	work.Add(1)
	defer work.Done()
	if !c.sendNext() {
		return
	}
	c.mu.Lock()
	more := len(c.waiting) > 0
	if !more {
		c.going--
	}
	c.mu.Unlock()
	if more {
		work.Go(c.run)
	}
}

// run sends batches until nobody waits. It ignores the contexts of single callers: the other callers of the batch rely
// on its outcome.
func (c *batcher[T]) run() {
	for c.sendNext() {
	}
}

// sendNext sends a batch; false: nobody waited.
func (c *batcher[T]) sendNext() bool {
	batch, done := c.next()
	if len(batch) == 0 {
		return false
	}
	err := c.send(batch)
	for _, d := range done {
		d <- err
	}
	return true
}

// next takes a batch; none: nobody waits, and the next caller starts run again.
func (c *batcher[T]) next() (batch []T, done []chan error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.going > 1 && len(c.waiting) < c.most {
		c.going--
		return nil, nil // another one is on its way, and takes them next: smaller ones would each need a sync
	}
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
