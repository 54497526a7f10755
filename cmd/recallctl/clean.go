package main

import (
	"fmt"
	"strings"
	"unicode"
)

// clean keeps what others typed from steering the terminal or deceiving the eye: whatever can't be printed, and
// whatever turns the direction of writing, is shown as an escape. Lines stay apart.
func clean(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r == '\n' || unicode.IsPrint(r) && !turning(r):
			b.WriteRune(r)
		case r < 0x80:
			fmt.Fprintf(&b, `\x%02x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

// cell is clean for one line of a table.
func cell(s string) string { return strings.ReplaceAll(clean(s), "\n", `\x0a`) }

// turning are the controls of the Unicode bidirectional algorithm (UAX 9), and the replacement of broken UTF-8.
func turning(r rune) bool {
	return r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 || r == 0x200e || r == 0x200f || r == 0x061c
}
