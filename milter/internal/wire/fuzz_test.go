package wire

import (
	"bufio"
	"bytes"
	"testing"
)

// FuzzFrame reads frames from arbitrary bytes: what is read is what was there, and never more than a frame may have.
func FuzzFrame(f *testing.F) {
	for _, seed := range []string{"", "\x00\x00\x00\x00", "\x00\x00\x00\x01Q", "\x00\x10\x00\x01B", "\xff\xff\xff\xffO",
		"\x00\x00\x00\x03Bxy\x00\x00"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r := bufio.NewReaderSize(bytes.NewReader(data), 16)
		for rest := data; ; {
			got, err := readFrame(r)
			if err != nil {
				return
			}
			whole := got.bytes()
			if len(got.data) >= MaxFrame || !bytes.HasPrefix(rest, whole) {
				t.Fatalf("frame %q of %q", got, data)
			}
			rest = rest[len(whole):]
		}
	})
}
