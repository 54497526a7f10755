package holdstore

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/recall-milter/recall-milter/holdstore/internal/holdid"
)

// LeftAt says when a message left its hold, and with which login it was submitted: the present moment for one that is
// not released, since some of its recipients may have it. ErrNotFound: its record is gone.
func (s *Store) LeftAt(ctx context.Context, id string) (at time.Time, login string, err error) {
	canonical, ok := holdid.Parse(id)
	if !ok {
		return at, login, fmt.Errorf("%q: %w", id, ErrNotFound)
	}
	fields, err := s.recordOf(ctx, canonical)
	if err != nil {
		return at, login, err
	}
	if fields["p"] == "" {
		return at, login, fmt.Errorf("%s: %w", canonical, ErrNotFound)
	}
	fields = unpacked(fields)
	var t storedTerms
	if json.Unmarshal([]byte(fields["meta"]), &t) == nil {
		login = disarmText(t.Login)
	}
	if State(fields["state"]) != Released {
		return time.Now(), login, nil
	}
	for _, e := range slices.Backward(s.events(canonical, fields["tl"])) {
		if e.Verb == string(Released) {
			return e.At, login, nil
		}
	}
	return at, login, nil // so much happened to it since then that its timeline has forgotten it
}
