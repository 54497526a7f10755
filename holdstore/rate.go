package holdstore

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"
)

// Tally is something that is counted in fixed spans of time, by some at once.
type Tally struct {
	Name string
	By   int
}

// rate names the counter of a name in the present span of time. It ends by itself, so that no table of names can be full.
func (s *Store) rate(name string, per time.Duration) string {
	return s.of(digest(name)).rate(digest(name), span(per))
}

// span is the number of the present span of time.
func span(per time.Duration) int64 { return time.Now().UnixNano() / int64(max(per, time.Second)) }

// Count counts over all gateways, in one round trip, and returns the present numbers.
func (s *Store) Count(ctx context.Context, per time.Duration, all ...Tally) ([]int, error) {
	p := s.redis.Pipeline()
	replies := make([]*redis.IntCmd, len(all))
	for i, t := range all {
		key := s.rate(t.Name, per)
		replies[i] = p.IncrBy(ctx, key, int64(t.By))
		p.Expire(ctx, key, max(per, time.Second))
	}
	if _, err := p.Exec(ctx); err != nil {
		return nil, explain(err)
	}
	numbers := make([]int, len(all))
	for i, r := range replies {
		numbers[i] = int(r.Val())
	}
	return numbers, nil
}

// Counted is what Count would say, and counts nothing.
func (s *Store) Counted(ctx context.Context, per time.Duration, all ...Tally) ([]int, error) {
	numbers := make([]int, len(all))
	for i, t := range all {
		n, err := s.redis.Get(ctx, s.rate(t.Name, per)).Int()
		if err != nil && err != redis.Nil {
			return nil, explain(err)
		}
		numbers[i] = n + t.By
	}
	return numbers, nil
}
