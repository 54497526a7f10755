// Package sanitize makes text that others typed harmless where it is written. Each function is named for its target.
package sanitize

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
)

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

// Parameter makes a text the value of one parameter in a field, or a part of an SMTP reply: of what is not printable
// ASCII, and of a semicolon, it leaves "?". It returns at most so many bytes.
func Parameter(text string, most int) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' || r == ';' {
			return '?'
		}
		return r
	}, text)
	return text[:min(len(text), most)]
}

// ServerReply is the beginning of what another server said, for a line of a log or a mail.
func ServerReply(text string) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
	return strings.ToValidUTF8(text[:min(len(text), 200)], "")
}

// LogValue keeps a value on its line of a log, so that it can't forge another line: what can't be printed is an escape
// of Go.
func LogValue(text string) string {
	quoted := strconv.Quote(text)
	return strings.ReplaceAll(quoted[1:len(quoted)-1], `\"`, `"`)
}

// TerminalText keeps a text from steering a terminal or deceiving the eye: whatever can't be printed, and whatever
// turns the direction of writing, is shown as an escape. Lines stay apart.
func TerminalText(text string) string {
	var b strings.Builder
	for _, r := range text {
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

// TerminalCell is TerminalText on one line, for a cell of a table.
func TerminalCell(text string) string { return strings.ReplaceAll(TerminalText(text), "\n", `\x0a`) }

// turning are the controls of the Unicode bidirectional algorithm (UAX 9).
func turning(r rune) bool {
	return r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 || r == 0x200e || r == 0x200f || r == 0x061c
}
