package policy

import "strings"

// maxMessageID bounds what is taken for a Message-ID, in bytes: it stands on one line (RFC 5322 section 2.1.1).
const maxMessageID = 998

// MessageID returns the message identifier that a field's value or a text begins with, with its angle brackets if it
// has them; "" when there is none. It reads what is really found: without "@" or with two, with blanks and quoted angle
// brackets inside, and it leaves out what stands behind, such as a comment or a full stop.
func MessageID(value string) string {
	id, _ := CutMessageID(value)
	return id
}

// BracketedID is MessageID for what has to be in angle brackets; "" when it is not.
func BracketedID(value string) string {
	if id := MessageID(value); strings.HasPrefix(id, "<") {
		return id
	}
	return ""
}

// CutMessageID is MessageID, and returns what stands behind it.
func CutMessageID(value string) (id, rest string) {
	value = unfold(value)
	if start := strings.IndexByte(value, '<'); start >= 0 && !strings.Contains(value[:start], "@") {
		id, rest = bracketed(value[start:])
	} else {
		end := strings.IndexAny(value+" ", " \t(<")
		id, rest = strings.TrimRight(value[:end], ".,;:"), value[end:]
	}
	if id == "<>" || len(id) > maxMessageID || strings.ContainsFunc(id,
		func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return "", value
	}
	return id, rest
}

// MessageIDs returns all identifiers in angle brackets, as in References.
func MessageIDs(value string) (all []string) {
	value = Unfold(value)
	for start := strings.IndexByte(value, '<'); start >= 0; start = strings.IndexByte(value, '<') {
		id, rest := CutMessageID(value[start:])
		if rest == value[start:] {
			rest = rest[1:]
		} else if id != "" {
			all = append(all, id)
		}
		value = rest
	}
	return all
}

// bracketed cuts a text that begins with "<" behind the ">" that ends it. Angle brackets in quotes are part of it.
func bracketed(text string) (id, rest string) {
	quoted := false
	for n := 1; n < len(text); n++ {
		switch c := text[n]; {
		case quoted && c == '\\':
			n++
		case c == '"' && (quoted || strings.IndexByte(text[n+1:], '"') >= 0):
			quoted = !quoted
		case c == '<' && !quoted:
			return "", text
		case c == '>' && !quoted:
			return "<" + strings.Join(strings.Fields(text[1:n]), " ") + ">", text[n+1:]
		}
	}
	return "", text
}
