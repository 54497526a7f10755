package recall

import (
	"sync"
	"time"
)

// Limiter counts in fixed spans of time, apart for each name. One without Most allows all. Safe for concurrent use.
type Limiter struct {
	Most int
	Per  time.Duration

	mu    sync.Mutex
	since time.Time
	seen  map[string]int
}

// maxSeen bounds the names of one span; beyond, all are refused until it ends.
const maxSeen = 100_000

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
	if _, known := l.seen[name]; !known && len(l.seen) >= maxSeen {
		return false
	}
	l.seen[name]++
	return l.seen[name] <= l.Most
}
