package holdstore

import (
	"context"
	"crypto/sha256"
	"hash"

	"github.com/recall-milter/recall-milter/holdstore/internal/seal"
)

// BodyDigest is the digest of a body that streams through it. White space does not count: relays fold long lines, and cut
// off blanks at the end of lines (RFC 6376 section 3.4.4 has more of it). The zero value is ready for use.
type BodyDigest struct {
	sum  hash.Hash
	text [1024]byte // without white space, on its way to sum
}

// Write adds a piece of the body; it never fails.
func (d *BodyDigest) Write(b []byte) (int, error) {
	if d.sum == nil {
		d.sum = sha256.New()
	}
	for rest := b; len(rest) > 0; {
		some := rest[:min(len(rest), len(d.text))]
		n := 0
		for _, c := range some { // without a branch: a branch for each blank would cost more than the digest
			d.text[n] = c
			n += counts[c]
		}
		d.sum.Write(d.text[:n])
		rest = rest[len(some):]
	}
	return len(b), nil
}

// counts is 0 for white space, and 1 for all else.
var counts = func() (all [256]int) {
	for c := range all {
		if all[c] = 1; c == ' ' || c == '\t' || c == '\r' || c == '\n' {
			all[c] = 0
		}
	}
	return all
}()

// Sum returns the digest of what was written so far.
func (d *BodyDigest) Sum() []byte {
	d.Write(nil)
	return d.sum.Sum(nil)[:seal.DigestSize]
}

// BodyDigest returns the digest of a hold's body. It reads no more than Header does: that of a large message was stored
// with its header block.
func (s *Store) BodyDigest(ctx context.Context, h *Hold) ([]byte, error) {
	p, err := s.piece(ctx, h, 0)
	if err != nil {
		return nil, err
	}
	if p.Digest == nil {
		var d BodyDigest
		d.Write(p.Body)
		p.Digest = d.Sum()
	}
	return p.Digest, nil
}
