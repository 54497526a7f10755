package milter

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strings"
	"time"
)

// Bounds of what one MTA connection may send. The MTA is trusted, the network before its socket is not.
const (
	maxFrame   = 1 << 20
	maxHeader  = 16 << 20 // all fields of one message
	maxRcpt    = 50000
	frameTime  = 5 * time.Minute // between two frames of a message; also what an idle connection gets
	headerLead = 1 << 20         // SMFIP_HDR_LEADSPC
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
		return frame{}, err
	}
	size := binary.BigEndian.Uint32(head[:])
	if size < 1 || size > maxFrame {
		return frame{}, fmt.Errorf("milter frame of %d bytes: 1 to %d are allowed", size, maxFrame)
	}
	data := make([]byte, size)
	if _, err := io.ReadFull(r, data); err != nil {
		return frame{}, io.ErrUnexpectedEOF
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
	offered int // protocol version that the MTA offered
}

// Read gives go-milter the frames that are its own.
func (c *conn) Read(p []byte) (int, error) {
	for len(c.pending) == 0 {
		c.SetReadDeadline(time.Now().Add(frameTime))
		f, err := readFrame(c.in)
		if err != nil {
			return 0, err
		}
		if err := c.take(f); err != nil {
			return 0, err
		}
	}
	n := copy(p, c.pending)
	c.pending = c.pending[n:]
	return n, nil
}

// take handles one frame, or leaves it in pending for go-milter.
func (c *conn) take(f frame) error {
	s := c.session
	s.seen(f.code)
	switch f.code {
	case 'O':
		if len(f.data) < 12 || binary.BigEndian.Uint32(f.data[8:])&headerLead == 0 {
			return fmt.Errorf("the MTA does not offer SMFIP_HDR_LEADSPC: without it headers could not be kept byte for byte")
		}
		c.offered = int(binary.BigEndian.Uint32(f.data))
	case 'D':
		s.macro(f.data)
		return nil
	case 'L':
		if err := s.field(f.data); err != nil {
			return err
		}
		return c.reply('c')
	case 'U':
		return c.reply('c')
	case 'K':
		s.newConnection()
		return nil
	case 'M', 'R', 'E':
		s.raw = f.data
	}
	c.pending = f.bytes()
	return nil
}

// reply writes one frame without data in one write: over loopback a second one would wait for a delayed ACK.
func (c *conn) reply(code byte) error {
	_, err := c.Write(frame{code: code}.bytes())
	return err
}

// Write bounds the time of every write, and answers the negotiation with the MTA's own protocol version: go-milter
// says 2, at which the flags it asks for do not exist.
func (c *conn) Write(p []byte) (int, error) {
	c.SetWriteDeadline(time.Now().Add(time.Minute))
	if len(p) >= 9 && p[4] == 'O' {
		p = bytes.Clone(p)
		binary.BigEndian.PutUint32(p[5:], uint32(min(c.offered, 6)))
	}
	return c.Conn.Write(p)
}

// strings0 splits NUL-ended strings; what stands behind the last NUL counts as one more.
func strings0(data []byte) []string {
	text := strings.TrimSuffix(string(data), "\x00")
	if text == "" && len(data) == 0 {
		return nil
	}
	return strings.Split(text, "\x00")
}
