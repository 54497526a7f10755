package holdstore

import (
	"context"
	"errors"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/recall-milter/recall-milter/test/server"
)

func TestWhatComesWhileABatchIsOnItsWayGoesWithTheNext(t *testing.T) {
	let := make(chan struct{})
	var sizes []int
	c := &batcher[int]{most: 3, goes: 1,
		send: func(batch []int) error { sizes = append(sizes, len(batch)); <-let; return nil }}
	var work, callers sync.WaitGroup
	waiting := func() int { c.mu.Lock(); defer c.mu.Unlock(); return len(c.waiting) }
	do := func(n int) {
		if err := c.do(t.Context(), &work, n); err != nil {
			t.Error(err)
		}
	}
	callers.Go(func() { do(0) })
	server.Eventually(t, "the first is on its way",
		func() bool { c.mu.Lock(); defer c.mu.Unlock(); return c.going == 1 && len(c.waiting) == 0 })
	for n := range 7 {
		callers.Go(func() { do(n) })
	}
	server.Eventually(t, "the others wait", func() bool { return waiting() == 7 })
	gone, cancel := context.WithCancel(t.Context())
	var impatient sync.WaitGroup
	impatient.Go(func() {
		if err := c.do(gone, &work, 8); !errors.Is(err, context.Canceled) {
			t.Errorf("who goes before the end hears %v", err)
		}
	})
	server.Eventually(t, "one more waits", func() bool { return waiting() == 8 })
	cancel()
	impatient.Wait()
	close(let)
	callers.Wait()
	if err := c.do(gone, &work, 9); !errors.Is(err, context.Canceled) {
		t.Errorf("a caller that has gone hears %v", err)
	}
	work.Wait()
	do(10) // it begins anew
	work.Wait()
	if !slices.Equal(sizes, []int{1, 3, 3, 2, 1}) {
		t.Errorf("batches of %v", sizes)
	}
}

// Small batches that go at the same time would each need a sync of their own.
func TestASecondBatchGoesOnlyWhenItIsFull(t *testing.T) {
	let := make(chan struct{})
	sent := make(chan int, 9)
	c := &batcher[int]{most: 3, goes: 2,
		send: func(batch []int) error { sent <- len(batch); <-let; return nil }}
	var work, callers sync.WaitGroup
	come := func(n int) {
		for range n {
			callers.Go(func() {
				if err := c.do(t.Context(), &work, n); err != nil {
					t.Error(err)
				}
			})
		}
	}
	wait := func(waiting, going int) {
		t.Helper()
		server.Eventually(t, "they wait", func() bool {
			c.mu.Lock()
			defer c.mu.Unlock()
			return len(c.waiting) == waiting && c.going == going
		})
	}
	goes := func(want int, what string) {
		t.Helper()
		if n := <-sent; n != want {
			t.Fatalf("%s has %d", what, n)
		}
	}
	come(1)
	goes(1, "the first one")
	come(2)
	wait(2, 1) // no second one that is not full
	come(1)
	goes(3, "the second one")
	come(4)
	wait(4, 2) // no third one
	let <- struct{}{}
	goes(3, "what goes when one of the two has ended")
	let <- struct{}{}
	wait(1, 1)
	close(let)
	goes(1, "the last one")
	callers.Wait()
	work.Wait()
	if c.going != 0 || len(c.waiting) != 0 {
		t.Errorf("%d on their way, %d wait", c.going, len(c.waiting))
	}
}

// A caller who sends what others have waits for their own outcome no longer than they want.
func TestACallerWhoSendsForOthersStillGivesUp(t *testing.T) {
	var work sync.WaitGroup
	ctx, cancel := context.WithCancel(t.Context())
	c := &batcher[int]{most: 3, goes: 2, full: func(batch []int) bool { return len(batch) == 1 },
		send: func([]int) error { cancel(); return nil }}
	for n := range 2 {
		c.waiting = append(c.waiting, waiter[int]{n, make(chan error, 1)})
	}
	c.going = 1 // a batch of before hangs
	if err := c.do(ctx, &work, 2); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	work.Wait()
	if !c.leave(2) || c.going != 1 {
		t.Errorf("%d on their way, %d wait", c.going, len(c.waiting))
	}
}

// A goroutine for each batch would cost a lone writer more than the sending.
func TestACallerWhoFindsNothingOnItsWaySendsTheBatchItself(t *testing.T) {
	var stack string
	c := &batcher[int]{most: 3, goes: 1, send: func([]int) error { stack = string(debug.Stack()); return nil }}
	var work sync.WaitGroup
	if err := c.do(t.Context(), &work, 1); err != nil || !strings.Contains(stack, t.Name()+"(") { // not only its func1
		t.Errorf("%v, sent by another goroutine:\n%s", err, stack)
	}
	if c.going != 0 {
		t.Errorf("%d are still going", c.going)
	}
}

func TestWhoLeavesBeforeABatchIsNotSent(t *testing.T) {
	let := make(chan struct{})
	var sent []int
	c := &batcher[int]{most: 9, goes: 1, full: func(batch []int) bool { return len(batch) == 2 },
		send: func(batch []int) error { sent = append(sent, batch...); <-let; return nil }}
	var work, callers sync.WaitGroup
	gone, cancel := context.WithCancel(t.Context())
	callers.Go(func() { c.do(t.Context(), &work, 0) })
	server.Eventually(t, "the first is on its way",
		func() bool { c.mu.Lock(); defer c.mu.Unlock(); return c.going == 1 && len(c.waiting) == 0 })
	for n, ctx := range []context.Context{gone, t.Context()} {
		callers.Go(func() { c.do(ctx, &work, n+1) })
		server.Eventually(t, "it is in the line", func() bool { return c.length() == n+1 })
	}
	cancel()
	server.Eventually(t, "who gave up leaves", func() bool { return c.leave(1) })
	if c.leave(0) || c.leave(1) {
		t.Error("what was sent, or has left, is taken back")
	}
	close(let)
	callers.Wait()
	work.Wait()
	if !slices.Equal(sent, []int{0, 2}) {
		t.Errorf("sent %v", sent)
	}
	let = make(chan struct{})
	c.going = 1 // nobody sends before all wait
	for n := range 5 {
		callers.Go(func() { c.do(t.Context(), &work, n) })
	}
	server.Eventually(t, "all wait", func() bool { return c.length() == 5 })
	var sizes []int
	for batch, done := c.next(); len(batch) > 0; batch, done = c.next() {
		sizes = append(sizes, len(batch))
		for _, d := range done {
			d <- nil
		}
	}
	callers.Wait()
	if !slices.Equal(sizes, []int{2, 2, 1}) {
		t.Errorf("batches of %v, and each is full with two", sizes)
	}
}

func (c *batcher[T]) length() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.waiting)
}
