package holdstore

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"

	"github.com/recall-milter/recall-milter/test/server"
)

func TestWhatComesWhileABatchIsOnItsWayGoesWithTheNext(t *testing.T) {
	let := make(chan struct{})
	var sizes []int
	c := &convoy[int]{most: 3, send: func(batch []int) { sizes = append(sizes, len(batch)); <-let }}
	var work, callers sync.WaitGroup
	waiting := func() int { c.mu.Lock(); defer c.mu.Unlock(); return len(c.waiting) }
	do := func(n int) {
		if err := c.do(t.Context(), &work, n); err != nil {
			t.Error(err)
		}
	}
	callers.Go(func() { do(0) })
	server.Eventually(t, "the first is on its way", func() bool { c.mu.Lock(); defer c.mu.Unlock(); return c.going && len(c.waiting) == 0 })
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
		t.Errorf("who has gone hears %v", err)
	}
	work.Wait()
	do(10) // it begins anew
	work.Wait()
	if !slices.Equal(sizes, []int{1, 3, 3, 2, 1}) {
		t.Errorf("batches of %v", sizes)
	}
}
