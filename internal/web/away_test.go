package web

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/internal/identity"
)

// journal is a log that is read.
type journal struct {
	Log
	said []string
}

func (j *journal) Trouble(what string, _ error)           { j.said = append(j.said, what) }
func (j *journal) Recovered(what string, _ time.Duration) { j.said = append(j.said, what) }

// However many try to sign in meanwhile, the log says once that the provider is away, and that it is back when it was
// reached: what it published before says nothing of that.
func TestTheLogSaysThatTheProviderIsBack(t *testing.T) {
	t.Parallel()
	log := &journal{}
	s := &Server{log: log}
	away := fmt.Errorf("%w: connection refused", identity.ErrAway)
	for _, err := range []error{away, nil, away, context.Canceled} {
		s.provider(time.Now(), false, err)
	}
	s.provider(time.Now(), true, identity.ErrRefused)
	if want := []string{providerGone, providerBack}; !slices.Equal(log.said, want) {
		t.Errorf("%q", log.said)
	}
}
