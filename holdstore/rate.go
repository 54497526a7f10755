package holdstore

import (
	"context"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/recall-milter/recall-milter/holdstore/internal/nodes"
)

// Tally is something that is counted in fixed spans of time, by some at once.
type Tally struct {
	Name string
	By   int
}

// counter names the counter of a name in the present span of time. It ends by itself, so that no table of names can be
// full. With the server of a Cluster away that would have it, another one counts from zero: nobody waits for a count.
func (s *Store) counter(ctx context.Context, name string, per time.Duration) (key string, err error) {
	home := s.nodes.Of(digest(name))
	shards, err := s.near(ctx, digest(name))
	if err != nil {
		return "", err
	}
	at := shards[0]
	for _, next := range shards {
		if next >= home { // all gateways take the same one
			at = next
			break
		}
	}
	return rateKey(at, digest(name), span(per)), nil
}

// span is the number of the present span of time.
func span(per time.Duration) int64 { return time.Now().UnixNano() / int64(max(per, time.Second)) }

// Count counts over all gateways, in one round trip, and returns the present numbers.
func (s *Store) Count(ctx context.Context, per time.Duration, all ...Tally) ([]int, error) {
	p := s.nodes.Client.Pipeline()
	replies := make([]*redis.IntCmd, len(all))
	for i, t := range all {
		key, err := s.counter(ctx, t.Name, per)
		if err != nil {
			return nil, err
		}
		replies[i] = p.IncrBy(ctx, key, int64(t.By))
		p.Expire(ctx, key, max(per, time.Second))
	}
	if _, err := p.Exec(ctx); err != nil {
		return nil, nodes.Explain(err)
	}
	numbers := make([]int, len(all))
	for i, r := range replies {
		numbers[i] = int(r.Val())
	}
	return numbers, nil
}

// Counts is what Count would say, and counts nothing.
func (s *Store) Counts(ctx context.Context, per time.Duration, all ...Tally) ([]int, error) {
	numbers := make([]int, len(all))
	for i, t := range all {
		key, err := s.counter(ctx, t.Name, per)
		if err != nil {
			return nil, err
		}
		n, err := s.nodes.Client.Get(ctx, key).Int()
		if err != nil && !errors.Is(err, redis.Nil) {
			return nil, nodes.Explain(err)
		}
		numbers[i] = n + t.By
	}
	return numbers, nil
}
