package recall

import (
	"sync"
	"time"
)

// Limiter counts in fixed spans of time, apart for each name. Names are the program's own: nobody bounds their number.
// One without Most allows all. Safe for concurrent use.
type Limiter struct {
	Most int
	Per  time.Duration

	mu    sync.Mutex
	since time.Time
	seen  map[string]int
}

// Allow says whether one more is allowed now.
func (l *Limiter) Allow(name string, now time.Time) bool {
	if l.Most <= 0 {
		return true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if now.Sub(l.since) >= l.Per {
		l.since, l.seen = now, map[string]int{}
	}
	l.seen[name]++
	return l.seen[name] <= l.Most
}
