package attachment

import (
	"bytes"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/recall-milter/recall-milter/internal/mailmsg"
	"github.com/recall-milter/recall-milter/policy"
)

// head is what the header of an entity says of files.
type head struct {
	kind     string // media type, in lower case
	border   string
	encoding string // in lower case
	names    []string
	attached bool // its disposition is not inline
}

// plain says whether the content needs no decoding.
func (h *head) plain() bool {
	return slices.Contains([]string{"", "7bit", "8bit", "binary"}, h.encoding)
}

// readHead reads the header of a part.
func readHead(text []byte) (h head) {
	var name, value string
	for line := range bytes.Lines(text) {
		trimmed := strings.TrimRight(string(line), "\r\n")
		if strings.HasPrefix(trimmed, " ") || strings.HasPrefix(trimmed, "\t") {
			value += trimmed
			continue
		}
		h.add(name, value)
		name, value, _ = strings.Cut(trimmed, ":")
		name = strings.TrimSpace(name)
	}
	h.add(name, value)
	return h
}

// add takes a field. Of two fields of a name the first counts, but all file names are taken.
func (h *head) add(name, value string) {
	value = policy.Unfold(value)
	switch strings.ToLower(name) {
	case "content-type":
		kind, params := parameters(value)
		if h.kind == "" {
			h.kind = kind
			h.border = first(params["boundary"])
		}
		h.names = append(h.names, params["name"]...)
	case "content-disposition":
		kind, params := parameters(value)
		h.attached = h.attached || kind != "inline"
		h.names = append(h.names, params["filename"]...)
	case "content-transfer-encoding":
		if h.encoding == "" {
			h.encoding, _ = parameters(value)
		}
	case "content-description", "content-location", "content-id": // shown by some programs, and no file name
	}
}

func first(values []string) string {
	if len(values) == 0 {
		return ""
	}
	return values[0]
}

// parameters reads "kind; key=value; ..." as leniently as mail programs do: pieces, charsets and languages of RFC 2231,
// encoded words of RFC 2047, which are not allowed there and common, blanks and missing quotes. A key can have several
// values: all are returned.
func parameters(text string) (kind string, params map[string][]string) {
	kind, rest, _ := strings.Cut(text, ";")
	params = map[string][]string{}
	pieces := map[string]map[int]piece{}
	for rest != "" {
		var key, value string
		key, value, rest = parameter(rest)
		name, ext, extended := strings.Cut(key, "*")
		if !extended {
			if value != "" {
				params[name] = append(params[name], mailmsg.Text(value))
			}
			continue
		}
		number, coded := strings.CutSuffix(ext, "*")
		n, err := strconv.Atoi(number)
		if ext == "" {
			n, coded, err = 0, true, nil // key*=charset'language'value
		}
		if err != nil || n < 0 || n > maxPieces {
			continue
		}
		if pieces[name] == nil {
			pieces[name] = map[int]piece{}
		}
		pieces[name][n] = piece{value, coded}
	}
	for name, all := range pieces {
		params[name] = append(params[name], joined(all))
	}
	return strings.ToLower(strings.TrimSpace(kind)), params
}

// maxPieces bounds the pieces of one value.
const maxPieces = 1000

// piece is a part of a value (RFC 2231 section 3).
type piece struct {
	text  string
	coded bool // with %XX
}

// joined joins pieces as far as they follow one another. The first names the charset.
func joined(pieces map[int]piece) string {
	charset, raw := "", []byte{}
	for n := 0; ; n++ {
		p, ok := pieces[n]
		if !ok {
			break
		}
		if parts := strings.SplitN(p.text, "'", 3); n == 0 && p.coded && len(parts) == 3 {
			charset, p.text = parts[0], parts[2]
		}
		if p.coded {
			if plain, err := url.PathUnescape(p.text); err == nil {
				p.text = plain
			}
		}
		raw = append(raw, p.text...)
	}
	text, _ := mailmsg.Decode(charset, raw)
	return text
}

// parameter takes a parameter off the front of a text.
func parameter(text string) (key, value, rest string) {
	text = strings.TrimLeft(text, "; \t")
	end := strings.IndexAny(text, "=;")
	if end < 0 || text[end] == ';' {
		_, rest, _ = strings.Cut(text, ";")
		return "", "", rest
	}
	key, text = strings.ToLower(strings.TrimSpace(text[:end])), strings.TrimLeft(text[end+1:], " \t")
	if !strings.HasPrefix(text, `"`) {
		value, rest, _ = strings.Cut(text, ";")
		return key, strings.TrimSpace(value), rest
	}
	var b strings.Builder
	for n := 1; n < len(text); n++ {
		switch c := text[n]; {
		case c == '"':
			_, rest, _ = strings.Cut(text[n:], ";")
			return key, b.String(), rest
		case c == '\\' && n+1 < len(text) && (text[n+1] == '"' || text[n+1] == '\\'):
			n++
			b.WriteByte(text[n])
		default:
			b.WriteByte(c)
		}
	}
	return key, b.String(), ""
}
