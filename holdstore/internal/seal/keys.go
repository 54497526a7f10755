package seal

import (
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/crypto/chacha20poly1305"
)

// KeySize is how many bytes the beginning of a piece has that tells its key (see KeyOf).
const KeySize = 1 + keyIDSize

const keyIDSize = 4 // bytes

// Sealer compresses and seals pieces, opens them, and proves records. It is safe for concurrent use.
type Sealer struct {
	ring   atomic.Pointer[ring]
	packer *zstd.Encoder
	opener *zstd.Decoder
}

// ring are the keys of a moment; they may be replaced while mail comes and goes.
type ring struct {
	first *sealKey // nil: nothing is sealed
	keys  map[[keyIDSize]byte]*sealKey
}

type sealKey struct {
	id     [keyIDSize]byte
	aead   cipher.AEAD
	prints []byte // key of fingerprints

	proofs, tickets, results []byte // keys of what record.go says
}

// KeyID is the name of a seal key: it tells nothing about the key.
func KeyID(key []byte) string { return fmt.Sprintf("%x", keyID(key)) }

func keyID(key []byte) [keyIDSize]byte {
	return [keyIDSize]byte(derived(key, "recall-milter seal key id")[:keyIDSize])
}

func derived(key []byte, purpose string) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(purpose))
	return mac.Sum(nil)
}

// New makes a Sealer with some keys; the error is that of a key of another length.
func New(keys [][]byte) (*Sealer, error) {
	s := &Sealer{}
	if err := s.Use(keys); err != nil {
		return nil, err
	}
	// Neither can fail with these options.
	s.packer, _ = zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithWindowSize(windowSize),
		zstd.WithLowerEncoderMem(true))
	s.opener, _ = zstd.NewReader(nil, zstd.WithDecoderMaxMemory(maxPiece), zstd.WithDecoderConcurrency(0))
	return s, nil
}

// Use replaces the keys; each piece says which one opens it.
func (s *Sealer) Use(keys [][]byte) error {
	r := &ring{keys: map[[keyIDSize]byte]*sealKey{}}
	for _, key := range keys {
		aead, err := chacha20poly1305.NewX(key)
		if err != nil {
			return fmt.Errorf("a seal key: %w", err)
		}
		k := &sealKey{id: keyID(key), aead: aead, prints: derived(key, "recall-milter fingerprint"),
			proofs: derived(key, "recall-milter record"), tickets: derived(key, "recall-milter release"),
			results: derived(key, "recall-milter result")}
		if r.keys[k.id] = k; r.first == nil {
			r.first = k
		}
	}
	s.ring.Store(r)
	return nil
}

// Seals says whether there is a key, so that what is stored from now on is sealed.
func (s *Sealer) Seals() bool { return s.ring.Load().first != nil }

// FirstKey is the ID of the key that seals; "" without one.
func (s *Sealer) FirstKey() string {
	if k := s.ring.Load().first; k != nil {
		return fmt.Sprintf("%x", k.id)
	}
	return ""
}

// Close ends the compressor's own work.
func (s *Sealer) Close() {
	s.packer.Close()
	s.opener.Close()
}

// ParseKeys reads the text of a key file: keys of 32 bytes in base64, one a line; lines with # are comments.
func ParseKeys(text string) ([][]byte, error) {
	var keys [][]byte
	for n, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		key, err := base64.StdEncoding.DecodeString(line)
		if err != nil || len(key) != chacha20poly1305.KeySize {
			return nil, fmt.Errorf("line %d is not a key: use 32 bytes in base64", n+1)
		}
		keys = append(keys, key)
	}
	if len(keys) == 0 {
		return nil, errors.New("it has no key: make one with recallctl key new")
	}
	return keys, nil
}
