// Package jsonline keeps JSON that people read in a terminal from doing anything there. What a sender typed may have
// characters that JSON allows as they are: DEL, the C1 controls, and those that turn the direction of writing. In JSON
// all of them stand in strings, so writing them as escapes changes no value.
package jsonline

import (
	"fmt"
	"io"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// Writer writes JSON to another writer with every character escaped that is not printable. Each Write must be whole
// characters, as those of an encoder are. What is there as a byte below 0x20 is white space between values, and stays.
type Writer struct{ to io.Writer }

// New returns a writer that escapes.
func New(to io.Writer) Writer { return Writer{to} }

func (w Writer) Write(b []byte) (int, error) {
	if _, err := w.to.Write(Escaped(b)); err != nil {
		return 0, err
	}
	return len(b), nil
}

// Escaped returns JSON with every character escaped that is not printable.
func Escaped(b []byte) []byte {
	first := index(b)
	if first == len(b) {
		return b
	}
	out := append(make([]byte, 0, len(b)+16), b[:first]...)
	for i := first; i < len(b); {
		r, size := utf8.DecodeRune(b[i:])
		switch {
		case fine(r):
			out = append(out, b[i:i+size]...)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			out = fmt.Appendf(out, `\u%04x\u%04x`, high, low)
		default:
			out = fmt.Appendf(out, `\u%04x`, r)
		}
		i += size
	}
	return out
}

// index is where the first character is that needs an escape.
func index(b []byte) int {
	for i := 0; i < len(b); {
		r, size := rune(b[i]), 1
		if r >= utf8.RuneSelf {
			r, size = utf8.DecodeRune(b[i:])
		}
		if !fine(r) {
			return i
		}
		i += size
	}
	return len(b)
}

func fine(r rune) bool { return r < 0x7f || r > 0x7f && unicode.IsPrint(r) }
