package web

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/identity"
)

const (
	storeGone    = "the page and the API can't answer while the store is away"
	storeBack    = "the store answers the page again"
	providerGone = "nobody can sign in at the identity provider while it is away"
	providerBack = "the identity provider answers again"
)

// lookEvery is the pause between two looks for a store that is away.
const lookEvery = time.Second

// cameKey is the key of the moment at which a request came, in its context: a store that hangs is found out seconds
// later.
type cameKey struct{}

// lost notes that a request found the store away. It says whether that is so: a client that hangs up says nothing of
// the store.
func (s *Server) lost(r *http.Request, err error) bool {
	if r.Context().Err() != nil || !isAway(err) {
		return false
	}
	asked, known := r.Context().Value(cameKey{}).(time.Time)
	if !known {
		asked = time.Now()
	}
	s.storeAway.Note(s.log, asked, err, storeGone, storeBack)
	select {
	case s.gone <- struct{}{}:
	default:
	}
	return true
}

func isAway(err error) bool {
	return errors.Is(err, holdstore.ErrUnavailable) || errors.Is(err, holdstore.ErrPartial)
}

// awaitStore looks for a store that is away until it answers, so that the log says so although nobody asks the page;
// until ctx ends.
func (s *Server) awaitStore(ctx context.Context) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.gone:
		}
		for away := true; away; {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			asked := time.Now()
			look, cancel := context.WithTimeout(ctx, readyTime)
			err := s.store.Writable(look) // a store that has too few replicas answers a ping
			cancel()
			if away = isAway(err); !away {
				s.storeAway.Note(s.log, asked, nil, storeGone, storeBack)
			}
		}
	}
}

// provider notes whether the identity provider is away, which was asked at a moment. answered says that it was reached:
// what it published before is read without it.
func (s *Server) provider(asked time.Time, answered bool, err error) {
	if errors.Is(err, identity.ErrAway) {
		s.providerAway.Note(s.log, asked, err, providerGone, providerBack)
	} else if answered {
		s.providerAway.Note(s.log, asked, nil, providerGone, providerBack)
	}
}
