package choice

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
)

// shelf is a store of choices.
type shelf struct {
	mu      sync.Mutex
	all     map[string]time.Duration
	version string
	away    bool
	looked  int
}

func (s *shelf) ChosenGraces(_ context.Context, have string) (map[string]time.Duration, string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.looked++
	switch {
	case s.away:
		return nil, "", errors.New("away")
	case have == s.version:
		return nil, have, nil
	}
	return s.all, s.version, nil
}

// change changes the store while others use it.
func (s *shelf) change(do func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	do()
}

func TestAChoiceCountsSoonAndWithoutAskingTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &shelf{version: "1", all: map[string]time.Duration{holdstore.Digest("login anna"): time.Minute,
			holdstore.Digest("address bert@corp.test"): 0}}
		g := New(s, func() bool { return true })
		of := func(login, sender string) time.Duration {
			if own := g.Of(t.Context(), login, sender); own != nil {
				return *own
			}
			return -1
		}
		// before anybody follows: a message must not leave sooner than its sender has chosen
		if of("Anna", "x@corp.test") != time.Minute || of("", "Bert@corp.test") != 0 || of("carl", "anna") != -1 {
			t.Error("what is chosen does not count at once")
		}
		ctx, cancel := context.WithCancel(t.Context())
		go g.Follow(ctx)
		synctest.Wait()
		looked := s.looked
		for range 1000 {
			of("anna", "")
		}
		if s.looked != looked {
			t.Errorf("%d looks for 1000 messages", s.looked-looked)
		}
		s.change(func() { s.away = true })
		time.Sleep(time.Minute)
		if of("anna", "") != time.Minute {
			t.Error("with the store away, what is known is forgotten")
		}
		s.change(func() {
			s.away, s.version, s.all = false, "2", map[string]time.Duration{holdstore.Digest("login anna"): time.Hour}
		})
		time.Sleep(Stale)
		if of("anna", "") != time.Hour || of("", "bert@corp.test") != -1 {
			t.Error("a change does not count in time")
		}
		cancel()
	})
}

func TestWhereNobodyMayChooseTheStoreIsNotAsked(t *testing.T) {
	t.Parallel()
	s := &shelf{version: "1"}
	g := New(s, func() bool { return false })
	if g.Of(t.Context(), "anna", "a@corp.test") != nil || s.looked != 0 {
		t.Errorf("%d looks", s.looked)
	}
}
