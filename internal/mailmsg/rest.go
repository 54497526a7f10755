package mailmsg

import (
	"bytes"
	"mime"
	"strings"
)

// Rest looks through the end of a body that is too large to keep, for further parts of the mail itself. What is inside
// of its parts, as in a message that is attached, does not count.
type Rest struct {
	delimiter string // of the mail's parts
	line      []byte // the present line, as far as it is known
	skips     bool   // the present line can't be a delimiter any more
	ended     bool   // the last part has ended
	goesOn    bool   // another part has begun
}

// NewRest returns one for the mail with a Content-Type, of whose body the beginning is known; nil when it has no parts.
func NewRest(contentType string, body []byte) *Rest {
	kind, params, err := mime.ParseMediaType(contentType)
	if err != nil || !strings.HasPrefix(kind, "multipart/") || params["boundary"] == "" {
		return nil
	}
	r := &Rest{delimiter: "--" + params["boundary"]}
	r.Skip(body[bytes.LastIndexByte(body, '\n')+1:])
	return r
}

// Skip takes the next piece of the body.
func (r *Rest) Skip(piece []byte) {
	for len(piece) > 0 && !r.ended && !r.goesOn {
		n := bytes.IndexByte(piece, '\n') + 1
		ends := n > 0
		if !ends {
			n = len(piece)
		}
		if !r.skips {
			room := len(r.delimiter) + maxBlanks - len(r.line)
			r.line = append(r.line, piece[:min(n, room)]...)
			begins := strings.HasPrefix(string(r.line), r.delimiter[:min(len(r.line), len(r.delimiter))])
			r.skips = n > room || !begins
		}
		if ends {
			line := strings.TrimRight(string(r.line), " \t\r\n")
			r.goesOn = !r.skips && line == r.delimiter
			r.ended = !r.skips && line == r.delimiter+"--"
			r.line, r.skips = r.line[:0], false
		}
		piece = piece[n:]
	}
}

// maxBlanks bounds what may stand behind a delimiter on its line (RFC 2046 section 5.1.1), in bytes.
const maxBlanks = 100

// GoesOn says whether another part has begun.
func (r *Rest) GoesOn() bool { return r.goesOn }
