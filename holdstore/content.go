package holdstore

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"

	"github.com/redis/go-redis/v9"

	"github.com/recall-milter/recall-milter/holdstore/internal/nodes"
	"github.com/recall-milter/recall-milter/holdstore/internal/seal"
)

// Content streams the message as it would be sent: header, blank line, body. A missing piece is an error.
func (s *Store) Content(ctx context.Context, h *Hold) io.Reader {
	return &content{s: s, ctx: ctx, h: h}
}

// content reads one piece after the other.
type content struct {
	s    *Store
	ctx  context.Context
	h    *Hold
	next int
	rest []byte
	read int64
}

func (c *content) Read(p []byte) (int, error) {
	if err := c.fill(); err != nil {
		return 0, err
	}
	n := copy(p, c.rest)
	c.rest = c.rest[n:]
	return n, nil
}

// WriteTo writes the pieces without copying them.
func (c *content) WriteTo(w io.Writer) (written int64, err error) {
	for {
		if err := c.fill(); errors.Is(err, io.EOF) {
			return written, nil
		} else if err != nil {
			return written, err
		}
		n, err := w.Write(c.rest)
		c.rest = c.rest[n:]
		if written += int64(n); err != nil {
			return written, err
		}
	}
}

// fill reads the next piece when nothing is left of the last one.
func (c *content) fill() error {
	for len(c.rest) == 0 {
		if c.next >= c.h.chunks {
			if c.read != c.h.Size {
				return fmt.Errorf("hold %s: its content has %d bytes instead of %d", c.h.ID, c.read, c.h.Size)
			}
			return io.EOF
		}
		p, err := c.s.piece(c.ctx, c.h, c.next)
		if err != nil {
			return err
		}
		if c.next == 0 {
			p.Text = slices.Concat(p.Text, []byte("\r\n"), p.Body)
		}
		c.rest = p.Text
		c.read += int64(len(p.Text))
		c.next++
	}
	return nil
}

// Header returns the header block of a hold, without reading the body of a large one. With a claim it has come already,
// and so has the whole of a small message: neither it nor Content asks Redis for that again.
func (s *Store) Header(ctx context.Context, h *Hold) ([]byte, error) {
	p, err := s.piece(ctx, h, 0)
	return p.Text, err
}

// piece reads a piece of the content, the first one only once.
func (s *Store) piece(ctx context.Context, h *Hold, n int) (p seal.Piece, err error) {
	if n == 0 && h.first.Text != nil {
		return h.first, nil
	}
	if n == 0 {
		defer func() { h.first = p }()
	}
	b, err := s.nodes.Client.Get(ctx, pieceKey(s.nodes.Of(h.ID), h.ID, h.staging, n)).Bytes()
	if errors.Is(err, redis.Nil) {
		return seal.Piece{}, fmt.Errorf("hold %s: piece %d of its content is not in the store: %w", h.ID, n,
			ErrNotFound)
	}
	if err != nil {
		return seal.Piece{}, nodes.Explain(err)
	}
	return s.open(h, n, b)
}

// open decodes a stored piece of a hold.
func (s *Store) open(h *Hold, n int, stored []byte) (p seal.Piece, err error) {
	if err = h.doubt; err == nil {
		p, err = s.seal.Open(stored, seal.Place{ID: h.ID, Staging: h.staging, N: n, Last: n == h.chunks-1})
	}
	if err != nil {
		return seal.Piece{}, fmt.Errorf("hold %s, piece %d: %w", h.ID, n, err)
	}
	return p, nil
}

// BodyDigest is the digest of a body that streams through it. White space does not count: relays fold long lines, and
// cut off blanks at the end of lines (RFC 6376 section 3.4.4 has more of it). The zero value is ready for use.
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
		for at := 0; at < len(some); {
			// Large bodies are base64: most eight bytes of them have no white space. No byte below 0x21 is in a word when
			// subtracting that from each borrows from none (Hacker's Delight, "Find First 0-Byte").
			if at+8 <= len(some) {
				if word := binary.LittleEndian.Uint64(some[at:]); (word-0x2121212121212121)&^word&0x8080808080808080 == 0 {
					binary.LittleEndian.PutUint64(d.text[n:], word)
					n, at = n+8, at+8
					continue
				}
			}
			for end := min(at+8, len(some)); at < end; at++ { // without a branch: one for each blank would cost more
				d.text[n] = some[at]
				n += counts[some[at]]
			}
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
