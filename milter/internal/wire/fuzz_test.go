package wire

import (
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
		r := bytes.NewReader(data)
		for {
			before := len(data) - r.Len()
			got, err := readFrame(r)
			if err != nil {
				return
			}
			if len(got.data) >= MaxFrame || !bytes.Equal(got.bytes(), data[before:len(data)-r.Len()]) {
				t.Fatalf("frame %q of %q", got, data)
			}
		}
	})
}
