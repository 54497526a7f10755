// Package attachment lists the files in a mail while its body passes: their names and media types, in attached
// messages, in zip archives and in Outlook's winmail.dat as well. No content is kept.
//
// Failure rules: every byte is hostile. Memory is bounded whatever comes, and time is linear. What is beyond a bound is
// not listed, and the list says that it is not whole. A defect hides no file that some mail program would show, as far
// as we know their ways: names are read leniently, and of two names both are listed.
package attachment

import (
	"bytes"
	"strings"

	"github.com/recall-milter/recall-milter/policy"
)

// Bounds of one mail.
const (
	maxFiles  = 2000        // names
	maxDepth  = 50          // of multiparts and attached messages
	maxParts  = 10_000      // of all depths together
	maxHead   = 64 << 10    // bytes of the header of a part
	maxLine   = 1 << 10     // bytes of a line that may be a delimiter; longer lines of a part are content
	maxName   = 512         // bytes of a name; its end, which has the extension, is kept
	maxBorder = maxLine / 2 // bytes of a boundary
)

// Reader reads a body piece by piece. The zero value is not ready: use New.
type Reader struct {
	line    []byte // the beginning of the present line, as long as it may be a delimiter or belongs to a header
	content bool   // the rest of the present line is content

	within  []entity // the multiparts and messages that we are in
	head    []byte   // of the entity whose header is being read
	heading bool     // a header is being read
	part    *content // of the present leaf; nil: nobody wants it
	pending []byte   // the end of the line before: with a delimiter behind it, it is not of the part (RFC 2046 5.1.1)

	parts   int
	listed  map[policy.File]bool
	files   []policy.File
	partial bool
}

// entity is a multipart, or a message that is attached.
type entity struct {
	border string // "--" and the boundary; "": a message
	digest bool   // its parts are messages unless they say otherwise
}

// New returns a reader for the body of a mail with this header.
func New(header []policy.Field) *Reader {
	r := &Reader{listed: map[policy.File]bool{}}
	var h head
	for _, f := range header {
		h.add(strings.TrimSpace(f.Name), f.Value)
	}
	r.begin(h)
	return r
}

// Files returns what was found so far. whole: nothing was left out.
func (r *Reader) Files() (all []policy.File, whole bool) { return r.files, !r.partial }

// End ends the body: a last line without an end is read.
func (r *Reader) End() {
	if len(r.line) > 0 {
		r.endLine()
	}
	r.part.close()
	r.part = nil
}

// Write is Take for an io.Writer; it never fails.
func (r *Reader) Write(piece []byte) (int, error) {
	r.Take(piece)
	return len(piece), nil
}

// Take takes the next piece.
func (r *Reader) Take(piece []byte) {
	for len(piece) > 0 {
		n, ends := bytes.IndexByte(piece, '\n')+1, true
		if n == 0 {
			n, ends = len(piece), false
		}
		switch {
		case r.content && !r.heading:
			r.part.write(piece[:n])
		case len(r.line)+n <= maxLine:
			r.line = append(r.line, piece[:n]...)
		case r.heading:
			r.line = append(r.line, piece[:max(0, min(n, maxHead-len(r.line)))]...)
		default: // too long for a delimiter
			r.flush()
			r.part.write(r.line)
			r.part.write(piece[:n])
			r.line, r.content = r.line[:0], true
		}
		if ends {
			if !r.content {
				r.endLine()
			}
			r.content = false
		}
		piece = piece[n:]
	}
}

// endLine takes a whole line.
func (r *Reader) endLine() {
	line := r.line
	r.line = r.line[:0]
	text := bytes.TrimRight(line, "\r\n")
	if n, last := r.delimiter(text); n >= 0 {
		r.delimit(n, last)
		return
	}
	switch {
	case r.heading && len(text) == 0:
		r.heading = false
		r.begin(readHead(r.head))
		r.head = r.head[:0]
	case r.heading && len(r.head)+len(line) > maxHead:
		r.partial = true
	case r.heading:
		r.head = append(r.head, line...)
	default:
		r.flush()
		r.part.write(text)
		r.pending = append(r.pending[:0], line[len(text):]...)
	}
}

// flush gives the part the end of the line before: no delimiter has followed.
func (r *Reader) flush() {
	r.part.write(r.pending)
	r.pending = r.pending[:0]
}

// delimiter says which of the multiparts that we are in a line delimits, and whether it is their last; -1: none.
func (r *Reader) delimiter(line []byte) (n int, last bool) {
	if !bytes.HasPrefix(line, []byte("--")) {
		return -1, false
	}
	line = bytes.TrimRight(line, " \t")
	for n := len(r.within) - 1; n >= 0; n-- {
		border := r.within[n].border
		if border == "" || !bytes.HasPrefix(line, []byte(border)) {
			continue
		}
		switch string(line[len(border):]) {
		case "":
			return n, false
		case "--":
			return n, true
		}
	}
	return -1, false
}

// delimit ends the part, and what is within multipart n.
func (r *Reader) delimit(n int, last bool) {
	r.part.close()
	r.part, r.pending, r.head = nil, r.pending[:0], r.head[:0]
	r.within = r.within[:n+1]
	if r.heading = !last; last {
		r.within = r.within[:n]
		return
	}
	if r.parts++; r.parts > maxParts {
		r.partial, r.heading = true, false
	}
}

// begin begins an entity whose header is known.
func (r *Reader) begin(h head) {
	if h.kind == "" {
		h.kind = "text/plain"
		if n := len(r.within); n > 0 && r.within[n-1].digest {
			h.kind = "message/rfc822"
		}
	}
	multi := strings.HasPrefix(h.kind, "multipart/")
	if deep := len(r.within) >= maxDepth; multi && h.border != "" && !deep && len(h.border) <= maxBorder {
		r.within = append(r.within, entity{"--" + h.border, h.kind == "multipart/digest"})
		return
	} else if multi && (deep || len(h.border) > maxBorder) {
		r.partial = true
	}
	if !multi {
		r.list(h)
	}
	if (h.kind == "message/rfc822" || h.kind == "message/global") && h.plain() {
		if len(r.within) >= maxDepth {
			r.partial = true
			return
		}
		r.within = append(r.within, entity{})
		r.heading = true
		return
	}
	r.part = newContent(r, h)
}

// list lists the file of a leaf. Text without a name is what the mail says, and no file.
func (r *Reader) list(h head) {
	if len(h.names) == 0 && (h.attached || !strings.HasPrefix(h.kind, "text/")) {
		r.add(policy.File{Type: h.kind})
	}
	for _, name := range h.names {
		r.add(policy.File{Name: name, Type: h.kind})
	}
}

// add lists a file once.
func (r *Reader) add(f policy.File) {
	f.Name = strings.ToValidUTF8(f.Name, "?")
	if over := len(f.Name) - maxName; over > 0 {
		f.Name = strings.ToValidUTF8(f.Name[over:], "")
	}
	switch {
	case r.listed[f]:
	case len(r.files) >= maxFiles:
		r.partial = true
	default:
		r.listed[f] = true
		r.files = append(r.files, f)
	}
}
