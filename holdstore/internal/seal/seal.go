// Package seal compresses and seals what the store keeps of a message, and proves records. It is pure: keys and bytes
// in, bytes out.
//
// A stored piece begins with a byte that says what was done to it. A sealed one goes on with the ID of its key and a
// random nonce; what follows is XChaCha20-Poly1305 over the piece, bound to its place, so that nobody can move pieces
// between messages. A record is proven by MACs (record.go). Without a key pieces are only compressed, and records prove
// nothing.
package seal

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/crypto/chacha20poly1305"
)

// ErrNoKey says that content is sealed with a key that is not among Options.SealKeys.
var ErrNoKey = errors.New("its seal key is not here")

// ErrDamaged says that content in the store is not what was put there.
var ErrDamaged = errors.New("its content was changed or damaged in the store")

// What was done to a piece.
const (
	compressed = 1 << 0
	sealed     = 1 << 1
	whole      = 1 << 2 // a small message: the length of its header block, the header block, and the body
	digested   = 1 << 3 // the first piece of a large message: the digest of its body, and the header block

	maxPiece   = 16 << 20  // bytes of one piece when it is decompressed; the largest is a header block
	windowSize = 256 << 10 // of the compressor: no piece of a body is larger
	sampleSize = 4 << 10   // of a large piece
)

// Place is where a piece belongs.
type Place struct {
	ID, Staging string // of the hold, and the random part of its content's key names
	N           int    // number of the piece
	Last        bool   // it is the last one
}

// bytes are the place as additional data of the seal; each part says where it ends.
func (p Place) bytes(form byte) []byte {
	b := []byte{form, map[bool]byte{true: 1}[p.Last]}
	b = binary.BigEndian.AppendUint32(b, uint32(p.N))
	return append(b, p.ID+"\x00"+p.Staging...)
}

// Wrap makes of a piece what is stored.
func (s *Sealer) Wrap(piece []byte, at Place) []byte { return s.WrapTo(nil, piece, at) }

// WrapTo is Wrap into the memory of room, when it is large enough.
func (s *Sealer) WrapTo(room, piece []byte, at Place) []byte { return s.wrapAs(room, 0, piece, at) }

// WrapSmall is Wrap for what is small and soon gone: compressing it would save nothing.
func (s *Sealer) WrapSmall(piece []byte, at Place) []byte {
	key := s.ring.Load().first
	return key.close(append(key.open(nil, 0, len(piece)), piece...), at)
}

// WrapHeader makes of the header block of a large message the first piece that is stored.
func (s *Sealer) WrapHeader(header, digest []byte, at Place) []byte {
	return s.wrapAs(nil, digested, withDigest(digest, header), at)
}

// WrapWhole makes of a small message the one piece that is stored.
func (s *Sealer) WrapWhole(header, body []byte, at Place) []byte {
	message := binary.AppendUvarint(make([]byte, 0, len(header)+len(body)+4), uint64(len(header)))
	return s.wrapAs(nil, whole, append(append(message, header...), body...), at)
}

func (s *Sealer) wrapAs(room []byte, form byte, piece []byte, at Place) []byte {
	key := s.ring.Load().first
	out := key.open(room, form, len(piece))
	if s.packs(sample(piece), out) {
		if packed := s.packer.EncodeAll(piece, out); saves(len(packed)-len(out), len(piece)) {
			packed[0] |= compressed
			return key.close(packed, at)
		}
	}
	return key.close(append(out, piece...), at)
}

// sample is what tells of a large piece whether compressing it is worth the time.
func sample(piece []byte) []byte {
	if len(piece) < 16*sampleSize {
		return nil
	}
	return piece[len(piece)/2:][:sampleSize]
}

// packs says whether a sample, if there is one, can be compressed. It is tried in the memory behind out.
func (s *Sealer) packs(sample, out []byte) bool {
	return sample == nil || saves(len(s.packer.EncodeAll(sample, out))-len(out), len(sample))
}

// saves says whether compressing saves more than it costs.
func saves(packed, size int) bool { return packed < size-size/16 }

// open begins what is stored of size bytes: what was done to them, and with a key its ID and a random nonce. Content
// follows.
func (k *sealKey) open(room []byte, form byte, size int) []byte {
	if most := sealedHead + size + chacha20poly1305.Overhead; cap(room) < most {
		room = make([]byte, 0, most)
	}
	if k == nil {
		return append(room[:0], form)
	}
	out := append(append(room[:0], form|sealed), k.id[:]...)
	out = out[:sealedHead]
	rand.Read(out[1+keyIDSize:])
	return out
}

// sealedHead is how many bytes stand before the content of a sealed piece.
const sealedHead = 1 + keyIDSize + chacha20poly1305.NonceSizeX

// close seals the content that follows what open returned, in place, if there is a key.
func (k *sealKey) close(stored []byte, at Place) []byte {
	if k == nil {
		return stored
	}
	nonce, content := stored[1+keyIDSize:sealedHead], stored[sealedHead:]
	return k.aead.Seal(stored[:sealedHead], nonce, content, at.bytes(stored[0]))
}

// Unwrap is the opposite of Wrap. Errors: ErrNoKey, or that the piece is not what was stored at this place.
func (s *Sealer) Unwrap(stored []byte, at Place) ([]byte, error) {
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
		return nil, fmt.Errorf("%w: it is not sealed, and there is a seal key: "+
			"it was stored before the key was, or changed", ErrDamaged)
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

// Piece is one piece of a message's content. The first one is the header block; of a small message it has the body as
// well, of a large one the digest of the body.
type Piece struct{ Text, Body, Digest []byte }

// Open is Unwrap, and takes apart what the first piece is made of.
func (s *Sealer) Open(stored []byte, at Place) (p Piece, err error) {
	if p.Text, err = s.Unwrap(stored, at); err != nil {
		return Piece{}, err
	}
	switch {
	case stored[0]&whole != 0:
		p.Text, p.Body, err = split(p.Text)
	case stored[0]&digested != 0:
		p.Digest, p.Text, err = cutDigest(p.Text)
	}
	if err != nil {
		return Piece{}, err
	}
	return p, nil
}

// split cuts the one piece of a small message, which Unwrap returned, into header block and body.
func split(message []byte) (header, body []byte, err error) {
	n, begin := binary.Uvarint(message)
	if begin <= 0 || n > uint64(len(message)-begin) {
		return nil, nil, fmt.Errorf("%w: its header block is longer than all of it", ErrDamaged)
	}
	return message[begin:][:n], message[begin:][n:], nil
}

// KeyOf returns the ID of the key that a stored piece, or its beginning, is sealed with; "" when it isn't.
func KeyOf(stored string) string {
	if len(stored) < 1+keyIDSize || stored[0]&sealed == 0 {
		return ""
	}
	return fmt.Sprintf("%x", stored[1:][:keyIDSize])
}

// DigestSize is how many bytes the digest of a body has in a piece.
const DigestSize = 16

// withDigest is the first piece of a large message, and cutDigest takes it apart.
func withDigest(digest, header []byte) []byte {
	return append(digest[:DigestSize:DigestSize], header...)
}

func cutDigest(piece []byte) (digest, header []byte, err error) {
	if len(piece) < DigestSize {
		return nil, nil, fmt.Errorf("%w: it is shorter than the digest of the body", ErrDamaged)
	}
	return piece[:DigestSize], piece[DigestSize:], nil
}
