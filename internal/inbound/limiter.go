package inbound

import (
	"sync"
	"time"
)

// limiter counts in fixed spans of time, apart for each name. Names are the program's own: nobody bounds their number.
// One without most allows all. Safe for concurrent use.
type limiter struct {
	most int
	per  time.Duration

	mu    sync.Mutex
	since time.Time
	seen  map[string]int
}

// allow says whether one more is allowed now.
func (l *limiter) allow(name string, now time.Time) bool {
	if l.most <= 0 {
		return true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if now.Sub(l.since) >= l.per {
		l.since, l.seen = now, map[string]int{}
	}
	l.seen[name]++
	return l.seen[name] <= l.most
}
