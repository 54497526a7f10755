package holdstore

import (
	"context"

	"github.com/redis/go-redis/v9"
)

// Audit writes into the trail what was tried and changed nothing: a recall that was refused.
func (s *Store) Audit(ctx context.Context, verb, id string, a Act, detail string) error {
	if err := s.admit(ctx, s.of(id)); err != nil {
		return err
	}
	return explain(s.redis.XAdd(ctx, &redis.XAddArgs{Stream: s.of(id).log(), MaxLen: trailMost, Approx: true,
		Values: []string{"verb", verb, "id", id, "by", a.By, "from", a.From, "reason", a.Reason, "detail", detail}}).Err())
}
