package holdstore

import (
	"context"

	"github.com/redis/go-redis/v9"

	"github.com/recall-milter/recall-milter/holdstore/internal/nodes"
)

// Audit writes into the trail what was tried and changed nothing: a recall that was refused.
func (s *Store) Audit(ctx context.Context, verb, id string, a Act, detail string) error {
	if err := s.nodes.Admit(ctx, s.nodes.Of(id)); err != nil {
		return err
	}
	return nodes.Explain(s.nodes.Client.XAdd(ctx, &redis.XAddArgs{Stream: logKey(s.nodes.Of(id)), MaxLen: trailMost, Approx: true,
		Values: []string{"verb", verb, "id", id, "by", a.By, "from", a.From, "reason", a.Reason, "detail", detail}}).Err())
}
