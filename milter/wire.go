package milter

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	gomilter "github.com/emersion/go-milter"
)

// maxFrame is as in libmilter. The MTA is trusted, the network before its socket is not.
const maxFrame = 1 << 20

// idleTime is libmilter's own: between the last R and the first L frame Postfix takes the whole message from a
// client that may be slow. Inside a frame nobody has to wait for a client.
const (
	idleTime  = 7210 * time.Second
	stallTime = time.Minute
	provenIn  = 2 * time.Second // while draining, for the frame that proves that DISCARD was read
)

// frame is one packet of the milter protocol.
type frame struct {
	code byte
	data []byte
}

// readFrame reads one frame, bounded before anything is allocated.
func readFrame(r io.Reader) (frame, error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return frame{}, fmt.Errorf("half a milter frame came: %w", err)
	}
	size := binary.BigEndian.Uint32(head[:])
	if size < 1 || size > maxFrame {
		return frame{}, fmt.Errorf("milter frame of %d bytes: 1 to %d are allowed", size, maxFrame)
	}
	data := make([]byte, size)
	if _, err := io.ReadFull(r, data); err != nil {
		return frame{}, fmt.Errorf("half a milter frame came: %w", err)
	}
	return frame{data[0], data[1:]}, nil
}

// bytes returns the frame as it goes over the wire.
func (f frame) bytes() []byte {
	out := binary.BigEndian.AppendUint32(nil, uint32(len(f.data)+1))
	return append(append(out, f.code), f.data...)
}

// conn stands between the MTA and go-milter. It keeps what go-milter drops (ESMTP arguments, macros of each stage,
// data in the end-of-body frame), and answers by itself the frames at which go-milter would give up.
type conn struct {
	net.Conn
	in      *bufio.Reader
	pending []byte // rest of a frame that go-milter is reading
	session *session
	offer   offer

	mu       sync.Mutex // what follows is also used by drain
	busy     bool       // a message is under way
	unproven bool       // a DISCARD was sent, and no later frame has come
	draining bool
	ended    bool
	cut      *time.Timer
}

// offer is what the MTA can do, and what of it was asked for.
type offer struct {
	version  uint32
	actions  gomilter.OptAction
	protocol gomilter.OptProtocol
}

// Read gives go-milter the frames that are its own. It hears of the end only that it is there: it would log the
// reason in a way of its own.
func (c *conn) Read(p []byte) (n int, err error) {
	defer c.session.guardRead(&err)
	for len(c.pending) == 0 {
		f, err := c.next()
		if err == nil {
			err = c.take(f)
		} else if ended(err) {
			return 0, io.EOF
		}
		if err != nil {
			c.session.server.Log.Trouble("a milter session is closed: the MTA does what milter_default_action says", err)
			return 0, io.EOF
		}
	}
	n = copy(p, c.pending)
	c.pending = c.pending[n:]
	return n, nil
}

// ended says whether a connection is over without anybody's fault: closed between two frames, or idle too long.
func ended(err error) bool {
	return err == io.EOF || errors.Is(err, net.ErrClosed) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, errIdle)
}

var errIdle = errors.New("no frame came")

// next waits for a frame, long for its beginning and briefly for its rest.
func (c *conn) next() (frame, error) {
	if err := c.arm(); err != nil {
		return frame{}, err
	}
	if _, err := c.in.Peek(1); errors.Is(err, os.ErrDeadlineExceeded) {
		return frame{}, errIdle
	} else if err != nil {
		return frame{}, err
	}
	c.SetReadDeadline(time.Now().Add(stallTime))
	return readFrame(c.in)
}

// take handles one frame, or leaves it in pending for go-milter.
func (c *conn) take(f frame) error {
	s := c.session
	if err := s.inOrder(f.code); err != nil {
		return err
	}
	s.seen(f.code)
	switch f.code {
	case 'O':
		if err := c.offer.read(f.data); err != nil {
			return err
		}
	case 'D':
		s.macro(f.data)
		return nil
	case 'L':
		s.field(f.data)
		if c.offer.protocol&gomilter.OptNoHeaderReply != 0 {
			return nil
		}
		return c.reply('c')
	case 'U', 'T':
		return c.reply('c')
	case 'K':
		s.newConnection()
		return nil
	case 'C':
		if err := s.connected(f.data); err != nil {
			return err
		}
		return c.reply('c')
	case 'M':
		c.state(true, false)
	}
	s.raw = f.data
	c.pending = f.bytes()
	return nil
}

// reply writes one frame without data in one write: over loopback a second one would wait for a delayed ACK.
func (c *conn) reply(code byte) error {
	_, err := c.Write(frame{code: code}.bytes())
	return err
}

// Write takes one whole reply of go-milter, and bounds its time. An MTA that is gone shows at the next read.
func (c *conn) Write(p []byte) (int, error) {
	out := p
	if len(p) >= 17 && p[4] == 'O' {
		out = c.offer.answer(p)
	}
	c.SetWriteDeadline(time.Now().Add(stallTime))
	if _, err := c.Conn.Write(out); err != nil {
		c.Conn.Close()
	}
	if len(p) > 4 && p[4] == 'd' {
		c.state(false, true)
	}
	return len(p), nil
}

// strings0 splits NUL-ended strings; what stands behind the last NUL counts as one more.
func strings0(data []byte) []string {
	text := strings.TrimSuffix(string(data), "\x00")
	if len(data) == 0 {
		return nil
	}
	return strings.Split(text, "\x00")
}
