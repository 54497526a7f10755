package holdstore

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/recall-milter/recall-milter/holdstore/internal/holdid"
	"github.com/recall-milter/recall-milter/holdstore/internal/nodes"
)

// LeftAt says when a message left its hold, and with which login it was submitted: the present moment for one that is
// not released, since some of its recipients may have it. ErrNotFound: its record is gone.
func (s *Store) LeftAt(ctx context.Context, id string) (at time.Time, login string, err error) {
	canonical, ok := holdid.Parse(id)
	if !ok {
		return at, login, fmt.Errorf("%q: %w", id, ErrNotFound)
	}
	f, err := s.nodes.Client.HMGet(ctx, holdKey(s.nodes.Of(canonical), canonical), "p", "state", "tl").Result()
	if err != nil {
		return at, login, nodes.Explain(err)
	}
	state, _ := f[1].(string)
	timeline, _ := f[2].(string)
	if f[0] == nil {
		return at, login, fmt.Errorf("%s: %w", canonical, ErrNotFound)
	}
	var t storedTerms
	record, _ := f[0].(string)
	if json.Unmarshal([]byte(unpacked(map[string]string{"p": record})["meta"]), &t) == nil {
		login = disarmText(t.Login)
	}
	if State(state) != Released {
		return time.Now(), login, nil
	}
	for _, e := range slices.Backward(s.events(canonical, timeline)) {
		if e.Verb == string(Released) {
			return e.At, login, nil
		}
	}
	return at, login, nil // so much happened to it since then that its timeline has forgotten it
}
