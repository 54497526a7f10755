package wire

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
)

// MaxFrame is the most bytes of one frame, as in libmilter. The MTA is trusted, the network before its socket is not.
const MaxFrame = 1 << 20

// frame is one packet of the milter protocol.
type frame struct {
	code byte
	data []byte
}

// bufferSize has room for the largest body piece that MTAs send, 65,535 bytes (libmilter's MILTER_CHUNK_SIZE), with its
// head: it is then used where it was read.
const bufferSize = headSize + 64<<10

const headSize = 4

// readFrame reads one frame, bounded before anything is allocated. Its data is good until the next one is read.
func readFrame(r *bufio.Reader) (frame, error) {
	head, err := r.Peek(headSize)
	if err != nil {
		return frame{}, half(err)
	}
	size := binary.BigEndian.Uint32(head)
	if size < 1 || size > MaxFrame {
		return frame{}, fmt.Errorf("milter frame of %d bytes: 1 to %d are allowed", size, MaxFrame)
	}
	whole, err := r.Peek(headSize + int(size))
	if errors.Is(err, bufio.ErrBufferFull) {
		whole = make([]byte, headSize+size)
		_, err = io.ReadFull(r, whole)
	} else if err == nil {
		_, err = r.Discard(len(whole))
	}
	if err != nil {
		return frame{}, half(err)
	}
	return frame{whole[headSize], whole[headSize+1:]}, nil
}

// half is the error of a frame that ends too early; io.EOF is an end between two frames.
func half(err error) error {
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("half a milter frame came: %w", err)
}

// bytes returns the frame as it goes over the wire.
func (f frame) bytes() []byte {
	out := binary.BigEndian.AppendUint32(nil, uint32(len(f.data)+1))
	return append(append(out, f.code), f.data...)
}

// Strings splits strings that end with NUL, as several frames have them; what follows the last NUL is one more.
func Strings(data []byte) []string {
	if len(data) == 0 {
		return nil
	}
	return strings.Split(strings.TrimSuffix(string(data), "\x00"), "\x00")
}
