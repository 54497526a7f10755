// Package outage tells the log once that something is away, and once that it works again: however many ask it at a
// time, and however often they ask.
package outage

import (
	"sync"
	"time"
)

// Log is told of both ends of an outage.
type Log interface {
	Trouble(msg string, err error)
	Recovered(msg string, lasted time.Duration)
}

// Outage is whether one thing is away. Its zero value is that it works. Safe for concurrent use.
type Outage struct {
	mu     sync.Mutex
	gone   time.Time // when the first question without an answer was asked; zero: it works
	worked time.Time // when the last answer came
}

// Note is told what came of a question that was asked at a moment. gone and back are what the log says when that
// changes something. What came of a question from before the last change says nothing of now: one that hung can fail
// after another was answered.
func (o *Outage) Note(log Log, asked time.Time, err error, gone, back string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch away := !o.gone.IsZero(); {
	case err != nil && !away && !asked.Before(o.worked):
		o.gone = asked
		log.Trouble(gone, err)
	case err == nil && !away:
		o.worked = time.Now()
	case err == nil && !asked.Before(o.gone):
		log.Recovered(back, time.Since(o.gone))
		o.gone, o.worked = time.Time{}, time.Now()
	}
}
