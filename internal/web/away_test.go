package web

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/identity"
)

// journal is a log that is read.
type journal struct {
	Log
	said   []string
	lasted time.Duration
}

func (j *journal) Trouble(what string, _ error) { j.said = append(j.said, what) }

func (j *journal) Recovered(what string, lasted time.Duration) {
	j.said, j.lasted = append(j.said, what), lasted
}

// A store that hangs was away since the request came that found it out, not since the end of its patience.
func TestAnOutageBeginsWithTheRequestThatFindsIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := &journal{}
		s := &Server{log: log, gone: make(chan struct{}, 1)}
		inner := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(10 * time.Second) // fake time
			s.lost(r, holdstore.ErrUnavailable)
			s.storeAway.Note(log, time.Now(), nil, storeGone, storeBack)
		})
		s.guarded(inner).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
		if !slices.Equal(log.said, []string{storeGone, storeBack}) || log.lasted != 10*time.Second {
			t.Errorf("%q, after %v", log.said, log.lasted)
		}
	})
}

// refusing is a store that answers, and for a while takes nothing.
type refusing struct {
	Store
	asked int
}

func (*refusing) Ping(context.Context) error { return nil }

func (r *refusing) Writable(context.Context) error {
	if r.asked++; r.asked < 5 {
		return fmt.Errorf("%w: NOREPLICAS", holdstore.ErrUnavailable)
	}
	return holdstore.ErrFull // it is there, and says so of what it can't take
}

// A store that answers, and refuses what people do, is not back.
func TestAStoreThatTakesNothingIsNotBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := &journal{}
		s := &Server{log: log, store: &refusing{}, gone: make(chan struct{}, 1)}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go s.awaitStore(ctx)
		s.lost(httptest.NewRequest("POST", "/", nil), holdstore.ErrUnavailable)
		time.Sleep(time.Minute) // fake time
		synctest.Wait()
		if !slices.Equal(log.said, []string{storeGone, storeBack}) || log.lasted != 5*lookEvery {
			t.Errorf("%q, after %v", log.said, log.lasted)
		}
	})
}

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
