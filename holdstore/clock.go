package holdstore

import (
	"sync"
	"time"
)

// clock knows how far Redis's clock is ahead of ours.
type clock struct {
	mu    sync.Mutex
	ahead *time.Duration // nil: not known
}

// now is Redis's time, as far as we know it; ok is false before anybody has learnt it.
func (c *clock) now() (moment time.Time, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ahead == nil {
		return time.Time{}, false
	}
	return time.Now().Add(*c.ahead).UTC().Truncate(time.Millisecond), true
}

// learn takes in that Redis told its time at some moment between sent and now.
func (c *clock) learn(sent, told time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	least, most := time.Until(told), told.Sub(sent)
	ahead := least
	if c.ahead != nil {
		ahead = min(max(*c.ahead, least), most)
	}
	c.ahead = &ahead
}
