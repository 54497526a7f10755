package holdstore

import (
	"context"
	"fmt"
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
			p.Text = slices.Concat(p.Text, []byte("\r\n"), p.Body)
		}
		c.rest = p.Text
		c.read += int64(len(p.Text))
		c.next++
	}
	return nil
}

// Header returns the header block of a hold, without reading the body of a large one. With a claim it has come already, and so
// has the whole of a small message: neither it nor Content asks Redis for that again.
func (s *Store) Header(ctx context.Context, h *Hold) ([]byte, error) {
	p, err := s.piece(ctx, h, 0)
	return p.Text, err
}

func (s *Store) piece(ctx context.Context, h *Hold, n int) (seal.Piece, error) {
	if n == 0 && h.first.Text != nil {
		return h.first, nil
	}
	b, err := s.nodes.Client.Get(ctx, chunkKey(s.nodes.Of(h.ID), h.ID, h.staging, n)).Bytes()
	if err == redis.Nil {
		return seal.Piece{}, fmt.Errorf("hold %s: piece %d of its content is not in the store: %w", h.ID, n, ErrNotFound)
	}
	if err != nil {
		return seal.Piece{}, nodes.Explain(err)
	}
	return s.open(h, n, b)
}

// open makes a piece of what is stored.
func (s *Store) open(h *Hold, n int, stored []byte) (p seal.Piece, err error) {
	if err = h.doubt; err == nil {
		p, err = s.seal.Open(stored, seal.Place{ID: h.ID, Staging: h.staging, N: n, Last: n == h.chunks-1})
	}
	if err != nil {
		return seal.Piece{}, fmt.Errorf("hold %s, piece %d: %w", h.ID, n, err)
	}
	return p, nil
}
