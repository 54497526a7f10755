package seal

import (
	"bytes"
	"crypto/rand"
	"errors"
	"strings"
	"testing"
)

func key(n byte) []byte { return bytes.Repeat([]byte{n}, 32) }

func TestTextIsCompressedAndNoiseIsNot(t *testing.T) {
	s, err := New([][]byte{key(1)})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	text := []byte(strings.Repeat("Dear colleagues, the meeting is moved. ", 1000))
	if n := len(s.Wrap(text, Place{})); n > len(text)/4 {
		t.Errorf("%d bytes of text became %d", len(text), n)
	}
	if n := len(s.Wrap(bytes.Repeat(text, 6), Place{})); n > len(text) {
		t.Errorf("%d bytes of text became %d", 6*len(text), n)
	}
	noise := make([]byte, 10000)
	for i := range noise {
		noise[i] = byte(i * i >> 3 * 7)
	}
	if n := len(s.Wrap(noise[:16], Place{})); n > 16+64 {
		t.Errorf("16 bytes became %d", n)
	}
}

// A small piece that would become larger than any piece is is refused before it takes the memory.
func TestBombsAreRefused(t *testing.T) {
	s, _ := New(nil)
	defer s.Close()
	bomb := append([]byte{compressed}, s.packer.EncodeAll(make([]byte, maxPiece+1), nil)...)
	if _, err := s.Unwrap(bomb, Place{}); !errors.Is(err, ErrDamaged) {
		t.Errorf("%d bytes: %v", len(bomb), err)
	}
}

func FuzzUnwrap(f *testing.F) {
	s, _ := New([][]byte{key(1)})
	f.Add([]byte("\x00plain"))
	f.Add(s.Wrap([]byte("sealed"), Place{ID: "a"}))
	f.Fuzz(func(t *testing.T, stored []byte) {
		piece, err := s.Unwrap(stored, Place{ID: "b"})
		if err == nil && stored[0]&sealed != 0 {
			t.Fatalf("opened in another place: %q", piece)
		}
	})
}

func TestKeyFiles(t *testing.T) {
	good := "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="
	keys, err := ParseKeys("# made today\n" + good + "\n\n " + good + "\r\n")
	if err != nil || len(keys) != 2 || !bytes.Equal(keys[0], key(1)) {
		t.Errorf("%x %v", keys, err)
	}
	for _, bad := range []string{"", "# nothing\n", "x", good[:20], good + good} {
		if _, err := ParseKeys(bad); err == nil || strings.Contains(err.Error(), good[:20]) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func BenchmarkSeal(b *testing.B) {
	text := []byte(strings.Repeat("Dear colleagues, the meeting is moved to Thursday at 10. ", windowSize/57))
	for name, keys := range map[string][][]byte{"compressed": nil, "compressed and sealed": {key(1)}} {
		b.Run(name, func(b *testing.B) {
			s, _ := New(keys)
			defer s.Close()
			b.SetBytes(int64(len(text)))
			for range b.N {
				if _, err := s.Unwrap(s.Wrap(text, Place{}), Place{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// What is made in given memory is the same as elsewhere, whether it fits or not, and with a key or without. Text and
// noise are so large that a sample is tried first.
func TestAPieceIsMadeInTheMemoryThatIsThere(t *testing.T) {
	text, noise := bytes.Repeat([]byte("Dear colleagues, "), 5000), make([]byte, 70000)
	rand.Read(noise)
	for name, keys := range map[string][][]byte{"plain": nil, "sealed": {key(1)}} {
		s, err := New(keys)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		for _, piece := range [][]byte{text, noise, {}} {
			for _, room := range []int{0, 8, 100, len(piece), len(piece) + 1000} {
				memory := bytes.Repeat([]byte{0xff}, room)
				stored := s.WrapTo(memory, piece, Place{ID: "a"})
				got, err := s.Unwrap(stored, Place{ID: "a"})
				if err != nil || !bytes.Equal(got, piece) {
					t.Errorf("%s, %d bytes in %d: %d came back, %v", name, len(piece), room, len(got), err)
				}
				if inPlace := room > 0 && &stored[0] == &memory[0]; room >= len(piece)+100 && !inPlace {
					t.Errorf("%s, %d bytes in %d: made elsewhere", name, len(piece), room)
				}
			}
		}
	}
}
