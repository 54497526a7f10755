// Package mailmsg reads what a mail contains: its parts, the text of a header field, the addresses in it, text in a
// charset. It is the only place that decodes, so that all parts of the project see the same text.
//
// It is lenient with text: what can't be decoded stays as it is, and two different fields do not become equal because
// they are broken. It is strict with addresses: structure is parsed before any word is decoded, so that nothing inside
// an encoded word is taken for an address. Input is bounded, and read in linear time.
package mailmsg

import (
	"encoding/base64"
	"mime"
	"strings"
	"unicode/utf8"

	"github.com/recall-milter/recall-milter/policy"
)

const (
	// MaxSubject bounds what is kept of a subject, in bytes: what Outlook allows fits, 255 characters of any script.
	MaxSubject = 1200

	// MaxField is how many bytes of a field are read; a thousand addresses fit.
	MaxField = 100_000
)

// Text returns the text of an unstructured field: unfolded, its encoded words (RFC 2047) decoded, with one blank for
// any run of white space. Words are also decoded as programs really write them: next to other text, with a language,
// with blanks inside, cut in the middle of a character. At most 100,000 bytes of a field are read.
func Text(value string) string {
	value = policy.Unfold(value[:min(len(value), MaxField)])
	last := strings.LastIndex(value, "?=")
	var t text
	for at, from := 0, 0; ; { // at: what is read; from: where the next word is looked for
		start := from + max(0, strings.Index(value[from:], "=?"))
		if start > last || !strings.HasPrefix(value[start:], "=?") {
			t.plain(value[at:])
			t.flush()
			return strings.Join(strings.Fields(t.b.String()), " ")
		}
		from = start + len("=?")
		if w, length := readWord(value[start:]); length > 0 {
			t.word(value[at:start], w)
			at, from = start+length, start+length
		}
	}
}

// Subject returns the beginning of a subject's text, in at most MaxSubject bytes. It is what the project keeps,
// compares and shows.
func Subject(value string) string { return Shorten(Text(value), MaxSubject) }

// Shorten returns the beginning of a text, of at most so many bytes, cut between two characters. It keeps the rest of a
// longer text out of memory.
func Shorten(text string, most int) string {
	if len(text) <= most {
		return text
	}
	for most > 0 && !utf8.RuneStart(text[most]) {
		most--
	}
	return strings.Clone(text[:most]) // the rest may be large
}

// Encode returns a text for an unstructured field that is written: as it is when it is ASCII, else in encoded words,
// each on a line of its own.
func Encode(text string) string {
	return strings.ReplaceAll(mime.QEncoding.Encode("utf-8", text), "?= =?", "?=\r\n =?")
}

// encodedWord is one word, not decoded yet.
type encodedWord struct {
	raw, charset, text string
	base64             bool
}

// readWord reads the encoded word that a text begins with, and its length in bytes: 0 when there is none.
func readWord(text string) (w encodedWord, length int) {
	charset, rest, ok := strings.Cut(text[len("=?"):min(len(text), len("=?")+2*maxCharset)], "?")
	if !ok || charset == "" || len(rest) < len("q?") || rest[1] != '?' || strings.ContainsAny(charset, " \t=") {
		return w, 0
	}
	body := len("=?") + len(charset) + len("?q?")
	end := strings.Index(text[body:], "?=")
	if end < 0 || !strings.ContainsRune("bBqQ", rune(rest[0])) {
		return w, 0
	}
	length = body + end + len("?=")
	w = encodedWord{raw: text[:length], text: text[body : body+end], base64: rest[0]|0x20 == 'b'}
	w.charset, _, _ = strings.Cut(strings.ToLower(charset), "*")
	return w, length
}

// text gathers what a field says. Words of one charset that follow each other are decoded together: many programs cut
// them inside a character, and some inside a group of base64.
type text struct {
	b       strings.Builder
	charset string // of the words that wait to be decoded
	bytes   []byte
	base64  string // the beginning of a group
	raw     []byte // the words as they are
}

// plain adds text that is not encoded.
func (t *text) plain(s string) {
	if s == "" {
		return
	}
	t.flush()
	decoded, _ := Decode("", []byte(s))
	t.b.WriteString(decoded)
}

// word adds an encoded word and what precedes it. White space between two words does not count (RFC 2047 section 6.2).
func (t *text) word(before string, w encodedWord) {
	if strings.TrimSpace(before) != "" || len(t.raw) == 0 {
		t.plain(before)
	} else if w.charset != t.charset {
		t.flush()
	} else {
		t.raw = append(t.raw, before...)
	}
	t.charset = w.charset
	t.raw = append(t.raw, w.raw...)
	if !w.base64 {
		t.bytes = append(t.endGroup(), quoted(w.text)...)
		return
	}
	group := t.base64 + letters(w.text)
	whole := len(group) &^ 3
	if strings.ContainsRune(w.text, '=') {
		whole = len(group)
	}
	t.base64 = group[whole:]
	t.bytes = append(t.bytes, unpadded(group[:whole])...)
}

// endGroup returns the bytes that wait, with those of a group of base64 that nothing completes.
func (t *text) endGroup() []byte {
	group := t.base64
	t.base64 = ""
	return append(t.bytes, unpadded(group)...)
}

// flush decodes the words that wait. Those in a charset that nobody knows stay as they are.
func (t *text) flush() {
	if len(t.raw) == 0 {
		return
	}
	if decoded, known := Decode(t.charset, t.endGroup()); known {
		t.b.WriteString(decoded)
	} else {
		decoded, _ := Decode("", t.raw)
		t.b.WriteString(decoded)
	}
	t.charset, t.raw, t.bytes = "", nil, nil
}

// letters keeps those of the base64 alphabet.
func letters(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '+' || r == '/' {
			return r
		}
		return -1
	}, s)
}

// unpadded decodes letters of base64; one letter alone at the end has no byte.
func unpadded(s string) []byte {
	if len(s)%4 == 1 {
		s = s[:len(s)-1]
	}
	out, _ := base64.RawStdEncoding.DecodeString(s)
	return out
}

// quoted decodes the Q encoding (RFC 2047 section 4.2); "=" before anything else than two hexadecimal digits is itself.
func quoted(s string) []byte {
	out := make([]byte, 0, len(s))
	for n := 0; n < len(s); n++ {
		switch c := s[n]; {
		case c == '_':
			out = append(out, ' ')
		case c == '=' && n+2 < len(s) && hexDigit(s[n+1]) >= 0 && hexDigit(s[n+2]) >= 0:
			out = append(out, byte(hexDigit(s[n+1])<<4|hexDigit(s[n+2])))
			n += 2
		default:
			out = append(out, c)
		}
	}
	return out
}

func hexDigit(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c|0x20 >= 'a' && c|0x20 <= 'f':
		return int(c|0x20-'a') + 10
	}
	return -1
}
