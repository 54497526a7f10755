package holdstore

import (
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/crypto/chacha20poly1305"
)

// ErrNoKey says that content is sealed with a key that is not among Options.SealKeys.
var ErrNoKey = errors.New("its seal key is not here")

// ErrDamaged says that content in the store is not what was put there.
var ErrDamaged = errors.New("its content was changed or damaged in the store")

// A stored piece begins with a byte that says what was done to it. A sealed one goes on with the ID of its key and a
// random nonce; what follows is XChaCha20-Poly1305 over the piece, bound to its place: hold, staging, number, and whether
// it is the last.
const (
	compressed = 1 << 0
	sealed     = 1 << 1
	whole      = 1 << 2 // a small message: the length of its header block, the header block, and the body
	digested   = 1 << 3 // the first piece of a large message: the digest of its body, and the header block

	keyIDSize = 4
	maxPiece  = 16 << 20 // bytes of one piece when it is decompressed; the largest is a header block
)

// sealer compresses and seals pieces, and opens them. It is safe for concurrent use.
type sealer struct {
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

	proofs, tickets []byte // keys of what proof.go says
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

func newSealer(keys [][]byte) (*sealer, error) {
	s := &sealer{}
	if err := s.use(keys); err != nil {
		return nil, err
	}
	// Neither can fail with these options.
	s.packer, _ = zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithWindowSize(chunkSize), zstd.WithLowerEncoderMem(true))
	s.opener, _ = zstd.NewReader(nil, zstd.WithDecoderMaxMemory(maxPiece), zstd.WithDecoderConcurrency(0))
	return s, nil
}

// use replaces the keys; each piece says which one opens it.
func (s *sealer) use(keys [][]byte) error {
	r := &ring{keys: map[[keyIDSize]byte]*sealKey{}}
	for _, key := range keys {
		aead, err := chacha20poly1305.NewX(key)
		if err != nil {
			return fmt.Errorf("a seal key: %w", err)
		}
		k := &sealKey{id: keyID(key), aead: aead, prints: derived(key, "recall-milter fingerprint"),
			proofs: derived(key, "recall-milter record"), tickets: derived(key, "recall-milter release")}
		if r.keys[k.id] = k; r.first == nil {
			r.first = k
		}
	}
	s.ring.Store(r)
	return nil
}

// UseKeys replaces Options.SealKeys while the store is in use: the first seals from now on, all open.
func (s *Store) UseKeys(keys [][]byte) error { return s.seal.use(keys) }

func (s *sealer) close() {
	s.packer.Close()
	s.opener.Close()
}

// place is where a piece belongs.
type place struct {
	id, staging string
	n           int
	last        bool
}

// bytes are the place as additional data of the seal; each part says where it ends.
func (p place) bytes(form byte) []byte {
	b := []byte{form, map[bool]byte{true: 1}[p.last]}
	b = binary.BigEndian.AppendUint32(b, uint32(p.n))
	return append(b, p.id+"\x00"+p.staging...)
}

// wrap makes of a piece what is stored.
func (s *sealer) wrap(piece []byte, at place) []byte { return s.wrapAs(0, piece, at) }

// wrapHeader makes of the header block of a large message the first piece that is stored.
func (s *sealer) wrapHeader(header, digest []byte, at place) []byte {
	return s.wrapAs(digested, withDigest(digest, header), at)
}

// wrapWhole makes of a small message the one piece that is stored.
func (s *sealer) wrapWhole(header, body []byte, at place) []byte {
	message := binary.AppendUvarint(make([]byte, 0, len(header)+len(body)+4), uint64(len(header)))
	return s.wrapAs(whole, append(append(message, header...), body...), at)
}

func (s *sealer) wrapAs(form byte, piece []byte, at place) []byte {
	content := piece
	if packed := s.packer.EncodeAll(piece, nil); len(packed) < len(piece)-len(piece)/16 { // else it costs more than it saves
		form, content = form|compressed, packed
	}
	first := s.ring.Load().first
	if first == nil {
		return append([]byte{form}, content...)
	}
	form |= sealed
	out := make([]byte, 0, 1+keyIDSize+chacha20poly1305.NonceSizeX+len(content)+chacha20poly1305.Overhead)
	out = append(append(out, form), first.id[:]...)
	out = out[:len(out)+chacha20poly1305.NonceSizeX]
	nonce := out[1+keyIDSize:]
	rand.Read(nonce)
	return first.aead.Seal(out, nonce, content, at.bytes(form))
}

// unwrap is the opposite of wrap. Errors: ErrNoKey, or that the piece is not what was stored at this place.
func (s *sealer) unwrap(stored []byte, at place) ([]byte, error) {
	if len(stored) == 0 || stored[0]&^(compressed|sealed|whole|digested) != 0 {
		return nil, fmt.Errorf("%w: no known form", ErrDamaged)
	}
	form, content := stored[0], stored[1:]
	if form&sealed != 0 {
		if len(content) < keyIDSize+chacha20poly1305.NonceSizeX {
			return nil, fmt.Errorf("%w: it is too short", ErrDamaged)
		}
		id := [keyIDSize]byte(content)
		key, ok := s.ring.Load().keys[id]
		if !ok {
			return nil, fmt.Errorf("%w: add key %x to seal.key_file", ErrNoKey, id)
		}
		nonce, box := content[keyIDSize:][:chacha20poly1305.NonceSizeX], content[keyIDSize+chacha20poly1305.NonceSizeX:]
		var err error
		if content, err = key.aead.Open(nil, nonce, box, at.bytes(form)); err != nil {
			return nil, fmt.Errorf("%w: its seal is broken", ErrDamaged)
		}
	}
	if form&sealed == 0 && s.ring.Load().first != nil {
		return nil, fmt.Errorf("%w: it is not sealed, and there is a seal key: it was stored before the key was, or changed", ErrDamaged)
	}
	if form&compressed == 0 {
		return content, nil
	}
	piece, err := s.opener.DecodeAll(content, nil)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return piece, nil
}

// split cuts the one piece of a small message, which unwrap returned, into header block and body.
func split(message []byte) (header, body []byte, err error) {
	n, begin := binary.Uvarint(message)
	if begin <= 0 || n > uint64(len(message)-begin) {
		return nil, nil, fmt.Errorf("%w: its header block is longer than all of it", ErrDamaged)
	}
	return message[begin:][:n], message[begin:][n:], nil
}

// sealedSubject marks a subject in a record that is sealed; no header field has a NUL.
const sealedSubject = "\x00"

// wrapSubject makes of a subject what stands in the record of a hold, which outlives its content.
func (s *sealer) wrapSubject(subject, id string) string {
	if s.ring.Load().first == nil || subject == "" {
		return subject
	}
	return sealedSubject + base64.StdEncoding.EncodeToString(s.wrap([]byte(subject), place{id: id, staging: "subject"}))
}

// unwrapSubject is the opposite; a subject whose key is missing is "".
func (s *sealer) unwrapSubject(stored, id string) string {
	text, ok := strings.CutPrefix(stored, sealedSubject)
	if !ok {
		return stored // the record proves it
	}
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return ""
	}
	subject, err := s.unwrap(raw, place{id: id, staging: "subject"})
	if err != nil {
		return ""
	}
	return string(subject)
}

// fingerprint keeps the digest of a message from telling whoever reads the store what was sent.
func (s *sealer) fingerprint(digest []byte) []byte {
	first := s.ring.Load().first
	if first == nil {
		return digest
	}
	return derived(first.prints, string(digest))
}

// sealedWith returns the ID of the key that a stored piece, or its beginning, is sealed with; "" when it isn't.
func sealedWith(stored string) string {
	if len(stored) < 1+keyIDSize || stored[0]&sealed == 0 {
		return ""
	}
	return fmt.Sprintf("%x", stored[1:][:keyIDSize])
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
			return nil, fmt.Errorf("line %d is no key: 32 bytes in base64 are wanted", n+1)
		}
		keys = append(keys, key)
	}
	if len(keys) == 0 {
		return nil, errors.New("there is no key in it: make one with recallctl key new")
	}
	return keys, nil
}
