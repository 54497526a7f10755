package holdstore

import (
	"context"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/recall-milter/recall-milter/holdstore/internal/nodes"
)

// What the page and the API remember. The store proves nothing of it: whoever reads it has signed it.

// SetToken keeps the record of an API token under a digest of the token. maxTokens bounds how many there are.
func (s *Store) SetToken(ctx context.Context, digest, record string) error {
	key := tokensKey(s.nodes.Shards[0])
	n, err := s.nodes.Client.HLen(ctx, key).Result()
	if err != nil {
		return nodes.Explain(err)
	}
	if n >= maxTokens {
		return errors.New("there are 10,000 tokens: revoke some first")
	}
	return nodes.Explain(s.nodes.Client.HSet(ctx, key, digest, record).Err())
}

const maxTokens = 10_000

// Token returns the record of a token. ErrNotFound: there is none with that digest.
func (s *Store) Token(ctx context.Context, digest string) (record string, err error) {
	record, err = s.nodes.Client.HGet(ctx, tokensKey(s.nodes.Shards[0]), digest).Result()
	if errors.Is(err, redis.Nil) {
		return "", ErrNotFound
	}
	return record, nodes.Explain(err)
}

// Tokens returns the records of all tokens by their digests.
func (s *Store) Tokens(ctx context.Context) (records map[string]string, err error) {
	records, err = s.nodes.Client.HGetAll(ctx, tokensKey(s.nodes.Shards[0])).Result()
	return records, nodes.Explain(err)
}

// RemoveToken forgets a token.
func (s *Store) RemoveToken(ctx context.Context, digest string) error {
	return nodes.Explain(s.nodes.Client.HDel(ctx, tokensKey(s.nodes.Shards[0]), digest).Err())
}

// EndSessions ends what somebody began before now, for all gateways; keep is how long any of it could have lasted.
func (s *Store) EndSessions(ctx context.Context, name string, keep time.Duration) error {
	err := s.nodes.Client.Set(ctx, endedKey(s.nodes.Of(Digest(name)), Digest(name)), stamp(time.Now()), keep).Err()
	return nodes.Explain(err)
}

// SessionsEnded says until which moment what somebody began has been ended; zero: nothing of theirs was.
func (s *Store) SessionsEnded(ctx context.Context, name string) (time.Time, error) {
	ms, err := s.nodes.Client.Get(ctx, endedKey(s.nodes.Of(Digest(name)), Digest(name))).Result()
	if errors.Is(err, redis.Nil) {
		return time.Time{}, nil
	}
	if err != nil {
		return time.Time{}, nodes.Explain(err)
	}
	return moment(ms), nil
}
