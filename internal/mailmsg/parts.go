package mailmsg

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"strings"
)

// Bounds of what is read of one mail.
const (
	maxDepth = 8   // of multiparts
	maxParts = 100 // of all depths together
)

// Part is one leaf of a mail.
type Part struct {
	Kind string // media type, in lower case
	Name string // of a file
	Body []byte // transfer encoding undone
	Text string // of text/*, its charset undone

	Alternative   int  // which multipart/alternative it is in, the outermost, counted from 1; 0: in none
	Whole         bool // its transfer encoding could be undone to the end
	Inline        bool // it has no file name, and is shown with the mail
	Readable      bool // its charset is known
	Flowed, DelSp bool // format=flowed of a text, and its parameter DelSp (RFC 3676)
}

// Parts calls visit for each leaf of a mail, in order, until it says false. Defects end a branch, not the walk.
// It says whether all of them could be seen; that visit said false hides none.
func Parts(head EntityHeader, body []byte, visit func(Part) bool) (whole bool) {
	w := walk{visit: visit, left: maxParts}
	w.entity(head, body, 0)
	return !w.unseen
}

type walk struct {
	visit  func(Part) bool
	left   int
	within int  // the outermost multipart/alternative that is being read; 0: none
	groups int  // of those, all so far
	unseen bool // a defect or a bound hides parts, which other programs may see
}

// EntityHeader has the fields that say what an entity is, each on one line.
type EntityHeader struct {
	ContentType string
	Encoding    string // Content-Transfer-Encoding
	Disposition string // Content-Disposition
}

// entity visits one entity and says whether to go on.
func (w *walk) entity(head EntityHeader, body []byte, depth int) bool {
	if w.left--; w.left < 0 {
		w.unseen = true
		return false
	}
	w.unseen = w.unseen || coded.MatchString(head.ContentType) || coded.MatchString(head.Disposition)
	kind, params, err := mime.ParseMediaType(head.ContentType)
	if err != nil {
		w.unseen = w.unseen || head.ContentType != "" // others may see a multipart there
		kind, params = "text/plain", nil
	}
	if strings.HasPrefix(kind, "multipart/") && depth < maxDepth && params["boundary"] != "" {
		w.unseen = w.unseen || !bareAround(body, params["boundary"])
		if kind == "multipart/alternative" && w.within == 0 {
			w.groups++
			w.within = w.groups
			defer func() { w.within = 0 }()
		}
		return w.multipart(kind, multipart.NewReader(bytes.NewReader(body), params["boundary"]), depth)
	}
	w.unseen = w.unseen || strings.HasPrefix(kind, "multipart/")
	body, known := plain(head.Encoding, body)
	w.unseen = w.unseen || !known
	p := Part{Kind: kind, Name: cmp.Or(fileName(head.Disposition), params["name"]), Body: body,
		Alternative: w.within, Whole: known, Inline: isInline(params, head.Disposition), Readable: true}
	if strings.HasPrefix(kind, "text/") {
		p.Text, p.Readable = Decode(params["charset"], body)
		p.Readable = p.Readable || params["charset"] == ""
		p.Flowed, p.DelSp = strings.EqualFold(params["format"], "flowed"), strings.EqualFold(params["delsp"], "yes")
	}
	return w.visit(p)
}

// multipart visits the parts of one.
func (w *walk) multipart(kind string, r *multipart.Reader, depth int) bool {
	for {
		p, err := r.NextRawPart()
		if err != nil {
			w.unseen = w.unseen || err != io.EOF
			return true
		}
		inner, _ := io.ReadAll(p) // what came before a defect counts
		h := p.Header
		for _, name := range []string{"Content-Type", "Content-Transfer-Encoding", "Content-Disposition"} {
			w.unseen = w.unseen || len(h[name]) > 1
		}
		contentType := h.Get("Content-Type")
		if contentType == "" && kind == "multipart/digest" {
			contentType = "message/rfc822" // RFC 2046 section 5.1.5
		}
		if !w.entity(EntityHeader{contentType, h.Get("Content-Transfer-Encoding"), h.Get("Content-Disposition")}, inner,
			depth+1) {
			return false
		}
	}
}

// fileName is the name that a Content-Disposition gives.
func fileName(disposition string) string {
	_, params, err := mime.ParseMediaType(disposition)
	if err != nil {
		return ""
	}
	return Text(params["filename"])
}

// isInline says whether a part is shown with the mail: it has no name, and no disposition (RFC 2183) but inline.
func isInline(params map[string]string, disposition string) bool {
	if disposition != "" {
		kind, more, err := mime.ParseMediaType(disposition)
		if err != nil || kind != "inline" || more["filename"] != "" {
			return false
		}
	}
	return params["name"] == ""
}

// plain undoes a transfer encoding, as far as it is right. It says whether that is all: others may read on where it is
// wrong, or know another one.
func plain(encoding string, body []byte) ([]byte, bool) {
	var r io.Reader
	switch strings.ToLower(encoding) {
	case "base64":
		r = base64.NewDecoder(base64.StdEncoding, bytes.NewReader(withoutBlanks(body)))
	case "quoted-printable":
		r = quotedprintable.NewReader(bytes.NewReader(body))
	case "", "7bit", "8bit", "binary":
		return body, true
	default:
		return body, false
	}
	out, err := io.ReadAll(r)
	return out, err == nil
}

// withoutBlanks takes the blanks out that some programs write into base64 (RFC 2045 section 6.8).
func withoutBlanks(text []byte) []byte {
	return bytes.Map(func(r rune) rune {
		if r == ' ' || r == '\t' {
			return -1
		}
		return r
	}, text)
}
