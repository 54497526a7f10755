package post

import (
	"strings"
	"unicode/utf8"
)

// maxLineLength is what a line of a mail may have, without its CRLF (RFC 5322 section 2.1.1). Servers refuse longer
// ones, or cut them in two.
const maxLineLength = 998

// foldLines breaks the lines that are too long, at a blank where there is one, and never within a character. What goes
// on begins with indent: a blank where lines are fields, so that it belongs to the field.
func foldLines(text, indent string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		for most := maxLineLength; len(strings.TrimRight(line, "\r\n")) > most; most = maxLineLength - len(indent) {
			n := strings.LastIndexByte(line[:most], ' ') + 1
			if n < most/2 {
				for n = most; !utf8.RuneStart(line[n]) && n > most-utf8.UTFMax; n-- {
				}
			}
			b.WriteString(line[:n] + "\r\n" + indent)
			line = line[n:]
		}
		b.WriteString(line)
	}
	return b.String()
}
