package holdstore

import (
	"context"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/recall-milter/recall-milter/holdstore/internal/nodes"
)

// FirstUse says whether something is used for the first time within a span, or again by the same user, who may have to
// try again.
func (s *Store) FirstUse(ctx context.Context, what, user string, keep time.Duration) (bool, error) {
	key := usedKey(s.nodes.Of(digest(what)), digest(what))
	first, err := s.nodes.Client.SetNX(ctx, key, digest(user), keep).Result()
	if err != nil || first {
		return first, nodes.Explain(err)
	}
	by, err := s.nodes.Client.Get(ctx, key).Result()
	if errors.Is(err, redis.Nil) { // it expired, or was of another type
		return true, nil
	}
	return by == digest(user), nodes.Explain(err)
}

// Used says whether FirstUse would say no, and notes nothing.
func (s *Store) Used(ctx context.Context, what, user string) (bool, error) {
	by, err := s.nodes.Client.Get(ctx, usedKey(s.nodes.Of(digest(what)), digest(what))).Result()
	if errors.Is(err, redis.Nil) {
		return false, nil
	}
	return by != digest(user), nodes.Explain(err)
}
