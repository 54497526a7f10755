package holdstore

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/recall-milter/recall-milter/holdstore/internal/nodes"
	"github.com/recall-milter/recall-milter/holdstore/internal/seal"
)

// secretSize is how many bytes the secret has. One that is stored as it is has so many; one that is sealed has more.
const secretSize = 32

var secretPlace = seal.Place{Staging: "secret", Last: true}

// secretScript stores a secret in place of another. ARGV: the other ("": none), the secret. Output: what is stored
// then.
var secretScript = nodes.NewScript(func() string {
	return "#!lua flags=allow-oom\n" + `
local key = KEYS[1] .. 'secret'
if (redis.call('GET', key) or '') == ARGV[1] then redis.call('SET', key, ARGV[2]) end
return redis.call('GET', key)
`
})

// Secret returns the 32-byte secret kept in the store, made once by whoever asks first. With a seal key it is sealed,
// since with it marks, keys and links could be made; one that is not is replaced: whoever can write to Redis may have
// put it there. ErrNoKey: it is sealed, and its key is not here.
func (s *Store) Secret(ctx context.Context) ([]byte, error) {
	for {
		stored, err := s.storedSecret(ctx)
		if err != nil {
			return nil, err
		}
		secret, err := s.openSecret(stored)
		if secret != nil || err != nil {
			return secret, err
		}
		fresh := make([]byte, secretSize)
		rand.Read(fresh)
		if err := s.replaceSecret(ctx, stored, fresh); err != nil {
			return nil, err
		}
	}
}

// ResealSecret seals the secret with the first key when another one seals it, so that the other can be dropped.
func (s *Store) ResealSecret(ctx context.Context) error {
	stored, err := s.storedSecret(ctx)
	if err != nil || !s.seal.Seals() || len(stored) <= secretSize || seal.KeyOf(string(stored)) == s.seal.FirstKey() {
		return err
	}
	secret, err := s.openSecret(stored)
	if err != nil {
		return err
	}
	return s.replaceSecret(ctx, stored, secret)
}

func (s *Store) storedSecret(ctx context.Context) ([]byte, error) {
	stored, err := s.nodes.Client.Get(ctx, secretKey(s.nodes.Shards[0])).Bytes()
	if errors.Is(err, redis.Nil) {
		return nil, nil
	}
	return stored, nodes.Explain(err)
}

// openSecret returns the secret that is stored; nil: there is none that counts.
func (s *Store) openSecret(stored []byte) ([]byte, error) {
	sealed := s.seal.Seals()
	switch {
	case len(stored) == 0, sealed && len(stored) <= secretSize:
		return nil, nil
	case len(stored) <= secretSize:
		return stored, nil
	}
	secret, err := s.seal.Unwrap(stored, secretPlace)
	if sealed && errors.Is(err, ErrDamaged) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("the secret in the store: %w", err)
	}
	return secret, nil
}

func (s *Store) replaceSecret(ctx context.Context, was, secret []byte) error {
	if s.seal.Seals() {
		secret = s.seal.Wrap(secret, secretPlace)
	}
	return nodes.Explain(s.nodes.RunAnyway(ctx, s.nodes.Shards[0], secretScript, string(was), string(secret)).Err())
}
