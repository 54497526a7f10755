// Package sanitize makes text that others typed harmless where it is written. Each function is named for its target.
package sanitize

import "strings"

// HeaderValue keeps a text on its line: in a field of a header, and on a line of a mail's text. Control characters
// become blanks, and what is not UTF-8 becomes "?".
func HeaderValue(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
}

// TraceWord keeps a word of a trace field (RFC 5321 section 4.4), an address or a host name from ending the field or
// hiding in it.
func TraceWord(word string) string {
	word = strings.Map(func(r rune) rune {
		if r <= ' ' || r == 0x7f || strings.ContainsRune("();<>", r) {
			return '?'
		}
		return r
	}, word)
	if word == "" {
		return "unknown"
	}
	return word
}
