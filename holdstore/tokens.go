package holdstore

import (
	"context"
	"errors"
	"maps"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/recall-milter/recall-milter/holdstore/internal/nodes"
)

// What the page and the API remember. The store proves nothing of it: whoever reads it has signed it. All shards have
// it, so that with servers of a Cluster away, callers are known on those that answer. It is read from the shard of its
// name; from the others where that one is away.

// near lists the shards that can tell of a name.
func (s *Store) near(ctx context.Context, name string) ([]nodes.Shard, error) {
	home := s.nodes.Of(name)
	if s.nodes.Reach(ctx, home) == nil {
		return []nodes.Shard{home}, nil
	}
	shards, err := s.nodes.Visible(ctx)
	if len(shards) == 0 {
		return nil, err
	}
	return shards, nil
}

// inAll sends commands to all shards that can be reached. ErrPartial: those that can't don't have it.
func (s *Store) inAll(ctx context.Context, queue func(pipe redis.Pipeliner, at nodes.Shard)) error {
	shards, partly := s.nodes.Visible(ctx)
	if len(shards) == 0 {
		return partly
	}
	pipe := s.nodes.Client.Pipeline()
	for _, at := range shards {
		queue(pipe, at)
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nodes.Explain(err)
	}
	return partly
}

// SetToken keeps the record of an API token under a digest of the token, if all shards can have it. maxTokens bounds
// how many there are.
func (s *Store) SetToken(ctx context.Context, digest, record string) error {
	if _, err := s.nodes.Visible(ctx); err != nil {
		return err
	}
	n, err := s.nodes.Client.HLen(ctx, tokensKey(s.nodes.Of(digest))).Result()
	if err != nil {
		return nodes.Explain(err)
	}
	if n >= maxTokens {
		return errors.New("there are 10,000 tokens: revoke some first")
	}
	return s.inAll(ctx, func(pipe redis.Pipeliner, at nodes.Shard) { pipe.HSet(ctx, tokensKey(at), digest, record) })
}

const maxTokens = 10_000

// Token returns the record of a token. ErrNotFound: there is none with that digest.
func (s *Store) Token(ctx context.Context, digest string) (record string, err error) {
	shards, err := s.near(ctx, digest)
	for _, at := range shards {
		record, err = s.nodes.Client.HGet(ctx, tokensKey(at), digest).Result()
		if !errors.Is(err, redis.Nil) {
			return record, nodes.Explain(err)
		}
	}
	if len(shards) > 0 {
		return "", ErrNotFound
	}
	return "", err
}

// Tokens returns the records of all tokens by their digests; with ErrPartial those that the shards have that answer.
func (s *Store) Tokens(ctx context.Context) (records map[string]string, err error) {
	records, replies := map[string]string{}, []*redis.MapStringStringCmd{}
	err = s.inAll(ctx, func(pipe redis.Pipeliner, at nodes.Shard) {
		replies = append(replies, pipe.HGetAll(ctx, tokensKey(at)))
	})
	for _, r := range replies {
		maps.Copy(records, r.Val())
	}
	return records, err
}

// RemoveToken forgets a token. ErrPartial: where servers are away it is known again when they are back, until
// RemoveToken is called again.
func (s *Store) RemoveToken(ctx context.Context, digest string) error {
	return s.inAll(ctx, func(pipe redis.Pipeliner, at nodes.Shard) { pipe.HDel(ctx, tokensKey(at), digest) })
}

// EndSessions ends what began under some names until a moment, for all gateways; what was ended until later stays so.
// keep is how long any of it could last.
func (s *Store) EndSessions(ctx context.Context, until time.Time, keep time.Duration, names ...string) error {
	return s.inAll(ctx, func(pipe redis.Pipeliner, at nodes.Shard) {
		for _, name := range names {
			key := endedKey(at, Digest(name))
			pipe.ZAddArgs(ctx, key, redis.ZAddArgs{GT: true,
				Members: []redis.Z{{Score: float64(until.UnixMilli()), Member: endedMember}}})
			pipe.PExpire(ctx, key, keep)
		}
	})
}

const endedMember = "until"

// SessionsEnded says for each of some names until which moment what began under it has been ended; zero: nothing was.
func (s *Store) SessionsEnded(ctx context.Context, names ...string) ([]time.Time, error) {
	pipe, replies := s.nodes.Client.Pipeline(), make([][]*redis.FloatCmd, len(names))
	for n, name := range names {
		shards, err := s.near(ctx, Digest(name))
		if err != nil {
			return nil, err
		}
		for _, at := range shards {
			replies[n] = append(replies[n], pipe.ZScore(ctx, endedKey(at, Digest(name)), endedMember))
		}
	}
	if _, err := pipe.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) {
		return nil, nodes.Explain(err)
	}
	ended := make([]time.Time, len(names))
	for n, all := range replies {
		for _, r := range all {
			if err := r.Err(); err != nil && !errors.Is(err, redis.Nil) {
				return nil, nodes.Explain(err)
			}
			if at := time.UnixMilli(int64(r.Val())); r.Err() == nil && at.After(ended[n]) {
				ended[n] = at
			}
		}
	}
	return ended, nil
}
