// Package wire speaks the milter protocol with one MTA. It stands between the MTA and go-milter: it keeps what
// go-milter drops (ESMTP arguments, the macros of each stage, data in the end-of-body frame), answers frames at which
// go-milter would give up, negotiates what header fields need in order to survive byte for byte, and bounds sizes and
// times.
//
// The protocol is that of libmilter 8.18 (include/libmilter/mfdef.h) and of Postfix's MILTER_README.
package wire

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"runtime/debug"
	"strings"
	"sync"
	"syscall"
	"time"

	gomilter "github.com/emersion/go-milter"
)

const (
	// IdleTime is how long the next frame may take, as in libmilter: between the last R and the first L frame Postfix
	// takes the whole message from a client that can be slow.
	IdleTime = 7210 * time.Second
	// StallTime is how long the rest of a frame may take: inside a frame nobody waits for a client.
	StallTime = time.Minute
)

// Handler is what happens in a session. Its callbacks are called after Frame has seen the frame: that of a body piece
// by Conn, without a Modifier, the others by go-milter.
type Handler interface {
	gomilter.Milter

	// Frame takes each frame but the negotiation. An error ends the session. data is good until the frame's callback
	// is back.
	Frame(code byte, data []byte) error
	// Failed hears why a session ends before the MTA wants it to.
	Failed(err error)
	// Panicked hears of a panic in Frame, which ends the session.
	Panicked(v any, stack []byte)
}

// Conn is one connection of the MTA.
type Conn struct {
	net.Conn
	in      *bufio.Reader
	pending []byte // rest of a frame that go-milter is reading
	last    []byte // data of the last frame, which nobody may read any more once the next one is read
	handler Handler
	offer   offer
	current byte   // of the frame that go-milter is handling
	partial []byte // the beginning of a reply of go-milter
	early   []byte // a verdict for which the MTA does not wait yet

	mu       sync.Mutex // what follows is also used by drain
	busy     bool       // a message is under way
	unproven bool       // a DISCARD was sent, and no later frame has come
	draining bool
	ended    bool
	cut      *time.Timer
}

// New returns the connection on which handler hears the MTA; Serve reads it.
func New(nc net.Conn, handler Handler) *Conn {
	return &Conn{Conn: nc, in: bufio.NewReaderSize(prompt{nc}, bufferSize), handler: handler}
}

// Serve runs the session until the MTA ends it, or ctx ends: then a message that is under way may finish for DrainTime,
// and cut is called when it does not.
func (c *Conn) Serve(ctx context.Context, cut func()) {
	defer c.endDrain()
	stop := context.AfterFunc(ctx, func() { c.drain(func() { cut(); c.Conn.Close() }) })
	defer stop()
	one := newOneShot(c)
	g := gomilter.Server{
		NewMilter: func() gomilter.Milter { return c.handler },
		Actions: gomilter.OptAddHeader | gomilter.OptChangeHeader | gomilter.OptRemoveRcpt | gomilter.OptQuarantine |
			gomilter.OptSetSymList,
		Protocol: gomilter.OptHeaderLeadingSpace | gomilter.OptNoUnknown | gomilter.OptNoData | gomilter.OptNoConnReply |
			gomilter.OptNoHeloReply | gomilter.OptNoMailReply | gomilter.OptNoHeaderReply | gomilter.OptNoBodyReply,
		SymList: map[gomilter.Stage][]string{
			gomilter.StageConnect:  {"j", "{client_addr}", "{client_name}", "{client_ptr}", "{client_port}", "{daemon_name}"},
			gomilter.StageMailFrom: {"i", "{auth_authen}", "{auth_type}", "{tls_version}"},
			gomilter.StageRcptTo:   {"i"},
			gomilter.StageEOM:      {"i"},
		},
	}
	_ = g.Serve(one) // it says only that the connection has ended
}

// Allows says whether the MTA lets the milter do all of these actions.
func (c *Conn) Allows(actions gomilter.OptAction) bool { return c.offer.actions&actions == actions }

// Idle says that no message is under way.
func (c *Conn) Idle() { c.state(false, false) }

// Progress keeps the MTA waiting for an answer. An MTA that is gone shows at the next read.
func (c *Conn) Progress() { c.reply('p') }

// Read gives go-milter the frames that are its own. It hears of the end only that it is there: it would log the
// reason in a way of its own.
func (c *Conn) Read(p []byte) (n int, err error) {
	defer func() {
		if v := recover(); v != nil {
			c.handler.Panicked(v, debug.Stack())
			err = io.EOF
		}
	}()
	for len(c.pending) == 0 {
		f, err := c.next()
		if err == nil {
			err = c.take(f)
		} else if ended(err) {
			return 0, io.EOF
		}
		if err != nil {
			c.handler.Failed(err)
			return 0, io.EOF
		}
	}
	n = copy(p, c.pending)
	c.pending = c.pending[n:]
	return n, nil
}

// ended says whether a connection is over without anybody's fault: closed between two frames, or idle too long.
func ended(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) || errors.Is(err, syscall.ECONNRESET) ||
		errors.Is(err, errIdle)
}

var errIdle = errors.New("no frame came")

// next waits for a frame, long for its beginning and briefly for its rest.
func (c *Conn) next() (frame, error) {
	Spoil(c.last)
	if err := c.arm(); err != nil {
		return frame{}, err
	}
	if _, err := c.in.Peek(1); errors.Is(err, os.ErrDeadlineExceeded) {
		return frame{}, errIdle
	} else if err != nil {
		return frame{}, err
	}
	c.SetReadDeadline(time.Now().Add(StallTime))
	f, err := readFrame(c.in)
	c.last = f.data
	return f, err
}

// Spoil gets the memory of a frame before it is used again. Tests overwrite it, so that what still reads it shows.
var Spoil = func([]byte) {}

// take gives one frame to the handler, and answers it or leaves it in pending for go-milter.
func (c *Conn) take(f frame) error {
	if err := c.offer.inOrder(f.code); err != nil {
		return err
	}
	switch c.current = f.code; {
	case strings.IndexByte("MAK", f.code) >= 0:
		c.early = nil
	case c.early != nil && strings.IndexByte("RLTNBE", f.code) >= 0:
		c.tellEarly()
		return nil
	}
	if f.code == 'O' {
		if err := c.offer.read(f.data); err != nil {
			return err
		}
	} else if err := c.handler.Frame(f.code, f.data); err != nil {
		return err
	}
	switch f.code {
	case 'D', 'K':
		return nil
	case 'U', 'T', 'C', 'L':
		c.reply('c')
		return nil
	case 'B': // not by way of go-milter, which would copy it twice
		return c.piece(f.data)
	case 'M':
		c.state(true, false)
	}
	c.pending = f.bytes()
	return nil
}

// piece gives the handler a piece of the body.
func (c *Conn) piece(data []byte) error {
	r, err := c.handler.BodyChunk(data, nil)
	if err != nil {
		return err
	}
	m := r.Response()
	_, err = c.Write(frame{m.Code, m.Data}.bytes())
	return err
}

// tellEarly gives the MTA the verdict on a message once it waits for a reply. The handler is done with the message.
func (c *Conn) tellEarly() {
	if c.offer.quiet(c.current) {
		return
	}
	c.send(c.early)
	if c.current != 'R' || c.early[4] == 'a' { // of a recipient only an acceptance is for the whole message
		c.early = nil
		c.state(false, false)
	}
}

// reply writes one frame without data in one write: over loopback a second one would wait for a delayed ACK.
func (c *Conn) reply(code byte) { _, _ = c.Write(frame{code: code}.bytes()) }

// Write takes replies of go-milter, which writes a long one in pieces.
func (c *Conn) Write(p []byte) (int, error) {
	c.partial = append(c.partial, p...)
	if whole := c.partial; len(whole) > headSize && len(whole) >= headSize+int(binary.BigEndian.Uint32(whole)) {
		c.answer(whole)
		c.partial = nil
	}
	return len(p), nil
}

// answer takes one whole reply. Where the MTA waits for none, "continue" goes without saying, and a verdict is kept
// until it does.
func (c *Conn) answer(p []byte) {
	switch code := p[headSize]; {
	case code == 'O':
		c.send(c.offer.answer(p))
	case !c.offer.quiet(c.current):
		c.send(p)
	case code != 'c' && code != 'p':
		c.early = bytes.Clone(p)
		c.state(true, false)
	}
}

// send writes a reply, and bounds its time. An MTA that is gone shows at the next read.
func (c *Conn) send(p []byte) {
	c.SetWriteDeadline(time.Now().Add(StallTime))
	if _, err := c.Conn.Write(p); err != nil {
		c.Conn.Close()
	}
	if p[4] == 'd' {
		c.state(false, true)
	}
}
