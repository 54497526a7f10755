package holdstore

import (
	"context"
	"encoding/json"
	"fmt"
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
	f, err := s.nodes.Client.HMGet(ctx, holdKey(s.nodes.Of(canonical), canonical), "p", "state", "r0").Result()
	if err != nil {
		return time.Time{}, nodes.Explain(err)
	}
	state, _ := f[1].(string)
	result, _ := f[2].(string)
	switch {
	case f[0] == nil:
		return time.Time{}, fmt.Errorf("%s: %w", canonical, ErrNotFound)
	case State(state) != Released:
		return time.Now(), nil
	}
	var r storedResult
	if err := json.Unmarshal([]byte(result), &r); err != nil {
		return time.Time{}, fmt.Errorf("hold %s: %w: result 0 can't be read: %w", canonical, ErrDamaged, err)
	}
	return time.UnixMilli(r.At), nil
}
