package holdstore

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/recall-milter/recall-milter/holdstore/internal/holdid"
	"github.com/recall-milter/recall-milter/holdstore/internal/nodes"
)

// LeftAt says when a message left its hold: the present moment for one that is not released, since some of its
// recipients may have it. ErrNotFound: its record is gone.
func (s *Store) LeftAt(ctx context.Context, id string) (time.Time, error) {
	canonical, ok := holdid.Parse(id)
	if !ok {
		return time.Time{}, fmt.Errorf("%q: %w", id, ErrNotFound)
	}
	f, err := s.nodes.Client.HMGet(ctx, holdKey(s.nodes.Of(canonical), canonical), "p", "state", "tl").Result()
	if err != nil {
		return time.Time{}, nodes.Explain(err)
	}
	state, _ := f[1].(string)
	timeline, _ := f[2].(string)
	switch {
	case f[0] == nil:
		return time.Time{}, fmt.Errorf("%s: %w", canonical, ErrNotFound)
	case State(state) != Released:
		return time.Now(), nil
	}
	for _, e := range slices.Backward(events(timeline)) {
		if e.Verb == string(Released) {
			return e.At, nil
		}
	}
	return time.Time{}, nil // so much happened to it since then that its timeline has forgotten it
}
