package holdstore

import (
	"context"
	"fmt"

	"github.com/redis/go-redis/v9"
)

// act runs a script for a person: ARGV are id, event, by, from, reason, and then args. It returns the hold after it.
func (s *Store) act(ctx context.Context, sc *redis.Script, verb, ref, detail string, a Act, args ...any) (*Hold, error) {
	id, ok := canonicalID(ref)
	if !ok {
		return nil, fmt.Errorf("%q: %w", ref, ErrNotFound)
	}
	said := detail
	if a.Reason != "" {
		said = a.Reason
	}
	event := eventLine(Event{Verb: verb, By: a.By, Detail: said})
	err := s.firmWord(ctx, sc, id, append([]any{event, a.By, a.From, a.Reason}, args...)...)
	if err != nil {
		return nil, err
	}
	return s.Get(ctx, id)
}
