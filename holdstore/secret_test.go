package holdstore

import (
	"bytes"
	"errors"
	"testing"

	"github.com/recall-milter/recall-milter/holdstore/internal/seal"
	"github.com/recall-milter/recall-milter/test/server"
)

func secretOf(t *testing.T, s *Store) []byte {
	t.Helper()
	secret, err := s.Secret(t.Context())
	if err != nil || len(secret) != secretSize {
		t.Fatalf("%x %v", secret, err)
	}
	return secret
}

func TestTheSecretIsSealedNextToSealedMail(t *testing.T) {
	addr := server.StartRedis(t).Addr
	plain := open(t, addr)
	first := secretOf(t, plain)
	if again := secretOf(t, open(t, addr)); !bytes.Equal(again, first) {
		t.Error("two gateways have two secrets")
	}
	// With a key, what everybody could read, or have written, is no secret any more.
	s := openSealed(t, addr, key(1))
	sealed := secretOf(t, s)
	stored := func() string { return s.nodes.Client.Get(t.Context(), secretKey(s.nodes.Shards[0])).Val() }
	if bytes.Equal(sealed, first) || bytes.Contains([]byte(stored()), sealed) {
		t.Error("the secret lies in clear")
	}
	if again := secretOf(t, openSealed(t, addr, key(1))); !bytes.Equal(again, sealed) {
		t.Error("two gateways with one key have two secrets")
	}
	if _, err := plain.Secret(t.Context()); !errors.Is(err, ErrNoKey) {
		t.Errorf("without the key: %v", err)
	}
	rotated := openSealed(t, addr, key(2), key(1))
	if err := rotated.ResealSecret(t.Context()); err != nil || seal.KeyOf(stored()) != KeyID(key(2)) {
		t.Errorf("after the rotation it is sealed with %s, %v", seal.KeyOf(stored()), err)
	}
	if again := secretOf(t, openSealed(t, addr, key(2))); !bytes.Equal(again, sealed) {
		t.Error("a rotation changed the secret")
	}
}
