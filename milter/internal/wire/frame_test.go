package wire

import (
	"bufio"
	"bytes"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// reads counts the reads of a connection.
type reads struct {
	io.Reader
	n int
}

func (r *reads) Read(b []byte) (int, error) { r.n++; return r.Reader.Read(b) }

// What an MTA has written costs one read, however many frames it is, and body pieces are used where they were read.
func TestFramesThatCameTogetherCostOneReadAndNoMemory(t *testing.T) {
	const frames = 10
	var sent []byte
	for range frames {
		sent = append(sent, frame{'L', []byte("Subject\x00 x\x00")}.bytes()...)
	}
	in := &reads{Reader: bytes.NewReader(sent)}
	r := bufio.NewReaderSize(in, bufferSize)
	for range frames {
		if _, err := readFrame(r); err != nil {
			t.Fatal(err)
		}
	}
	if in.n != 1 {
		t.Errorf("%d reads of one write", in.n)
	}
	piece := frame{'B', bytes.Repeat([]byte("x"), 65535)}.bytes()
	from := bytes.NewReader(nil)
	r.Reset(from)
	if got := testing.AllocsPerRun(10, func() {
		from.Reset(piece)
		r.Reset(from)
		if f, err := readFrame(r); err != nil || len(f.data) != 65535 {
			t.Fatal(len(f.data), err)
		}
	}); got > 0 {
		t.Errorf("a body piece takes %v allocations", got)
	}
}

// However a frame is cut into reads, it is the same frame.
func TestAFrameThatComesInPieces(t *testing.T) {
	for _, size := range []int{0, 1, 4095, 65535, 65536, MaxFrame - 1} {
		want := frame{'B', []byte(strings.Repeat("x", size))}
		next := frame{'E', nil}
		both := append(want.bytes(), next.bytes()...)
		for name, in := range map[string]io.Reader{"whole": bytes.NewReader(both),
			"halves": iotest.HalfReader(bytes.NewReader(both)), "bytes": iotest.OneByteReader(bytes.NewReader(both))} {
			r := bufio.NewReaderSize(in, bufferSize)
			got, err := readFrame(r)
			if err != nil || got.code != 'B' || !bytes.Equal(got.data, want.data) {
				t.Fatalf("%d bytes, %s: %c with %d, %v", size, name, got.code, len(got.data), err)
			}
			if got, err := readFrame(r); err != nil || got.code != 'E' || len(got.data) != 0 {
				t.Errorf("%d bytes, %s: then %c with %d, %v", size, name, got.code, len(got.data), err)
			}
		}
	}
}
