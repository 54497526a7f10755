package correspondents

import (
	"sync"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
)

const (
	believed     = 10 * time.Minute // how long a pair that was found is not looked up again
	mostBelieved = 50_000           // pairs: some 3 MB
)

// found are pairs that the store had a moment ago. People write to the same contacts several times a day, and a
// question is a round trip to Redis that a message waits for. What was not found is always asked again: it may be there
// by now.
type found struct {
	mu    sync.Mutex
	pairs map[holdstore.Pair]bool
	since time.Time // all are forgotten when the first one is too old, or when they are too many
}

// any says whether one of some pairs was found.
func (f *found) any(some []holdstore.Pair) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if time.Since(f.since) > believed {
		return false
	}
	for _, p := range some {
		if f.pairs[p] {
			return true
		}
	}
	return false
}

func (f *found) add(p holdstore.Pair) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if time.Since(f.since) > believed || len(f.pairs) >= mostBelieved {
		f.pairs, f.since = map[holdstore.Pair]bool{}, time.Now()
	}
	f.pairs[p] = true
}

// clear forgets all.
func (f *found) clear() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.pairs, f.since = nil, time.Time{}
}
