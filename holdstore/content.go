package holdstore

import (
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/redis/go-redis/v9"
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

// WriteTo hands the pieces on as they are.
func (c *content) WriteTo(w io.Writer) (written int64, err error) {
	for {
		if err := c.fill(); err == io.EOF {
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

// fill makes sure that there is something to hand on, or says why there is not.
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
			p.text = slices.Concat(p.text, []byte("\r\n"), p.body)
		}
		c.rest = p.text
		c.read += int64(len(p.text))
		c.next++
	}
	return nil
}

// Header returns the header block of a hold, without reading the body of a large one. With a claim it has come already, and so
// has the whole of a small message: neither it nor Content asks Redis for that again.
func (s *Store) Header(ctx context.Context, h *Hold) ([]byte, error) {
	p, err := s.piece(ctx, h, 0)
	return p.text, err
}

// piece is one piece of a hold's content. The first one is the header block; of a small message it has the body as well,
// of a large one the digest of the body.
type piece struct{ text, body, digest []byte }

func (s *Store) piece(ctx context.Context, h *Hold, n int) (piece, error) {
	if n == 0 && h.first.text != nil {
		return h.first, nil
	}
	b, err := s.redis.Get(ctx, s.of(h.ID).chunk(h.ID, h.staging, n)).Bytes()
	if err == redis.Nil {
		return piece{}, fmt.Errorf("hold %s: piece %d of its content is not in the store: %w", h.ID, n, ErrNotFound)
	}
	if err != nil {
		return piece{}, explain(err)
	}
	return s.open(h, n, b)
}

// open makes a piece of what is stored.
func (s *Store) open(h *Hold, n int, stored []byte) (p piece, err error) {
	if h.doubt == nil {
		p.text, err = s.seal.unwrap(stored, place{h.ID, h.staging, n, n == h.chunks-1})
	} else {
		err = h.doubt
	}
	switch {
	case err != nil:
	case stored[0]&whole != 0:
		p.text, p.body, err = split(p.text)
	case stored[0]&digested != 0:
		p.digest, p.text, err = cutDigest(p.text)
	}
	if err != nil {
		return piece{}, fmt.Errorf("hold %s, piece %d: %w", h.ID, n, err)
	}
	return p, nil
}
