package mailmsg

import (
	"bytes"
	"mime"
	"slices"
	"strings"
)

// PartSearch looks through the end of a body that is too large to keep, for further parts of the mail itself, also in a
// multipart within it. What is inside of a message that is attached does not count.
type PartSearch struct {
	delimiters []string // of the mail's parts; the first is that of the mail itself
	longest    int      // of their lengths
	line       []byte   // the present line, as far as it is known
	skips      bool     // the present line can't be a delimiter any more
	ended      bool     // the last part has ended
	goesOn     bool     // another part has begun
}

// NewPartSearch returns one for the mail with a Content-Type, of whose body the beginning is known; nil when it has no
// parts.
func NewPartSearch(contentType string, body []byte) *PartSearch {
	kind, params, err := mime.ParseMediaType(contentType)
	if err != nil || !strings.HasPrefix(kind, "multipart/") || params["boundary"] == "" {
		return nil
	}
	w := walk{visit: func(Part) bool { return true }, left: maxParts}
	w.entity(EntityHeader{ContentType: contentType}, body, 0)
	r := &PartSearch{}
	for _, boundary := range w.boundaries {
		r.delimiters = append(r.delimiters, "--"+boundary)
		r.longest = max(r.longest, len("--"+boundary))
	}
	r.Skip(body[bytes.LastIndexByte(body, '\n')+1:])
	return r
}

// Skip takes the next piece of the body.
func (r *PartSearch) Skip(piece []byte) {
	for len(piece) > 0 && !r.ended && !r.goesOn {
		n := bytes.IndexByte(piece, '\n') + 1
		ends := n > 0
		if !ends {
			n = len(piece)
		}
		if !r.skips {
			room := r.longest + maxBlanks - len(r.line)
			r.line = append(r.line, piece[:min(n, room)]...)
			r.skips = n > room || !slices.ContainsFunc(r.delimiters, func(d string) bool {
				return strings.HasPrefix(string(r.line), d[:min(len(r.line), len(d))])
			})
		}
		if ends {
			line := strings.TrimRight(string(r.line), " \t\r\n")
			r.goesOn = !r.skips && slices.Contains(r.delimiters, line)
			r.ended = !r.skips && line == r.delimiters[0]+"--"
			r.line, r.skips = r.line[:0], false
		}
		piece = piece[n:]
	}
}

// maxBlanks bounds what may stand behind a delimiter on its line (RFC 2046 section 5.1.1), in bytes.
const maxBlanks = 100

// GoesOn says whether another part has begun.
func (r *PartSearch) GoesOn() bool { return r.goesOn }
