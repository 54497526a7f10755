package holdstore

import (
	"bytes"
	"strings"
	"testing"
)

func digestOf(pieces ...string) []byte {
	var d BodyDigest
	for _, p := range pieces {
		d.Write([]byte(p))
	}
	return d.Sum()
}

func TestABodyIsKnownAgainWhateverRelaysDoToItsBlanks(t *testing.T) {
	long := strings.Repeat("x", 3000)
	want := digestOf("one two\r\n" + long + "\r\n")
	for name, pieces := range map[string][]string{
		"in pieces":            {"one", " two\r", "\n" + long[:1024], long[1024:], "\r\n"},
		"blanks at line ends":  {"one two  \r\n" + long + "\t\r\n\r\n"},
		"a long line is split": {"one two\r\n" + long[:998] + "\r\n " + long[998:] + "\r\n"},
		"bare line feeds":      {"one two\n" + long + "\n"},
		"blanks everywhere":    {strings.Join(strings.Split("onetwo"+long, ""), "\t")},
	} {
		if got := digestOf(pieces...); !bytes.Equal(got, want) {
			t.Errorf("%s: another digest", name)
		}
	}
	for _, c := range []string{"\x00", "\x1f", "!", "\x7f", "\x80", "\xff"} { // next to white space in number, and none
		if bytes.Equal(digestOf("one two\r\n"+long[:99]+c+long[99:]), want) {
			t.Errorf("%q is taken for white space", c)
		}
	}
	for name, text := range map[string]string{"another word": "one twO\r\n" + long, "more": "one two\r\n" + long + "x",
		"empty": ""} {
		if bytes.Equal(digestOf(text), want) {
			t.Errorf("%s: the same digest", name)
		}
	}
}
