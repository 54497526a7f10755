package release

import (
	"bufio"
	"bytes"
	"strings"
	"testing"
)

var hostile = map[string]string{
	"lone dots":       "H: x\r\n\r\n.\r\n..\r\n.x\r\n...\r\n",
	"dot at the end":  "H: x\r\n\r\n.",
	"CRCRLF":          "H: x\r\n\r\na\r\r\n.\r\r\n",
	"bare CR":         "H: x\r\n\r\na\rb\r.\r\n",
	"NUL and 8 bit":   "H: x\r\n\r\na\x00b\xff\xfe\r\n",
	"no final CRLF":   "H: x\r\n\r\nend",
	"only headers":    "H: x\r\n",
	"empty body":      "H: x\r\n\r\n",
	"trailing blanks": "H: x  \r\n\t y \r\n\r\na \t \r\n \r\n\r\n\r\n",
	"long line":       "H: x\r\n\r\n" + strings.Repeat("y", 100_000) + "\r\n." + strings.Repeat(".z", 70_000) + "\r\n",
}

func TestWhatIsReleasedIsWhatIsHeld(t *testing.T) {
	for name, content := range hostile {
		t.Run(name, func(t *testing.T) {
			p, c := startPort(t, nil), claim("a@x.test")
			attempted(t, &memory{content: content}, p, c)
			_, data := p.got()
			want := content
			if !strings.HasSuffix(want, "\r\n") {
				want += "\r\n"
			}
			_, got, _ := strings.Cut(data[0], "\r\n\tfor <a@x.test>; ")
			_, got, _ = strings.Cut(got, "\r\n")
			if undot(got) != want {
				t.Errorf("arrived %.200q\nwant %.200q", undot(got), want)
			}
		})
	}
}

// Whatever is sent, a server gets exactly that, and the only final dot is ours.
func FuzzDots(f *testing.F) {
	for _, content := range hostile {
		f.Add([]byte(content), 3)
	}
	f.Fuzz(func(t *testing.T, content []byte, piece int) {
		var wire bytes.Buffer
		w := &dotWriter{to: bufio.NewWriter(&wire), lineStart: true}
		piece = max(1, piece%64)
		for rest := content; len(rest) > 0; {
			n := min(piece, len(rest))
			w.Write(rest[:n])
			rest = rest[n:]
		}
		w.end()
		got, ok := readDots(bufio.NewReader(&wire))
		if !ok || wire.Len() > 0 {
			t.Fatalf("the message does not end where it should: %q", content)
		}
		want := string(content)
		if !strings.HasSuffix(want, "\r\n") {
			want += "\r\n"
		}
		if undot(got) != want {
			t.Fatalf("%q arrives as %q", want, undot(got))
		}
	})
}
