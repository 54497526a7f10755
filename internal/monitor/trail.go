package monitor

import (
	"context"
	"errors"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
)

// verbs are what the audit trail tells of, as far as it is counted by name.
var verbs = []string{"recall", "restore", "release", "extend", "drain", "ask", "answered", "retract",
	"recall_refused", "pause", "resume", "other"}

// Trail is the audit trail of a store.
type Trail interface {
	Log(ctx context.Context, since time.Time, follow bool) iter.Seq2[holdstore.Entry, error]
}

// trailPause is waited when the store is away.
const trailPause = 5 * time.Second

// Follow counts what people do from now on, whichever gateway or program does it, until ctx ends.
func (m *Metrics) Follow(ctx context.Context, trail Trail) {
	since := time.Now()
	for ctx.Err() == nil {
		for entry, err := range trail.Log(ctx, since, true) {
			if errors.Is(err, holdstore.ErrPartial) {
				continue // what is missing comes when it is back
			}
			if err != nil {
				break
			}
			since = entry.At.Add(time.Millisecond) // the trail's own grain
			verb := strings.ReplaceAll(entry.Verb, " ", "_")
			if !slices.Contains(verbs, verb) {
				verb = "other"
			}
			m.acts.WithLabelValues(verb).Inc()
		}
		select {
		case <-ctx.Done():
		case <-time.After(trailPause):
		}
	}
}
