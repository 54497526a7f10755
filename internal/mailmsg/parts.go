package mailmsg

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"slices"
	"strings"

	"github.com/recall-milter/recall-milter/internal/lazyregexp"
)

// Bounds of what is read of one mail.
const (
	maxDepth = 8   // of multiparts
	maxParts = 100 // of all depths together

	maxAllAround = 1 << 20 // bytes of the text around the parts of all multiparts
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

// Extent says how much of a mail Parts has seen. A visit that said false hides nothing.
type Extent struct {
	Whole  bool // neither a bound nor a defect hides a part: all text that its sender wrote was visited
	Agreed bool // Whole, and no other program can see other parts or files there

	Around string // what is before and behind the parts of all multiparts, where only old programs show something
}

// Parts calls visit for each leaf of a mail, in order, until it says false. Defects end a branch, not the walk.
func Parts(head EntityHeader, body []byte, visit func(Part) bool) Extent {
	w := walk{visit: visit, left: maxParts}
	w.entity(head, body, 0)
	return Extent{Whole: !w.hides, Agreed: !w.hides && !w.unsure, Around: w.around}
}

type walk struct {
	visit  func(Part) bool
	left   int
	within int // the outermost multipart/alternative that is being read; 0: none
	groups int // of those, all so far
	around string

	boundaries []string
	hides      bool // a bound or a defect hides parts
	unsure     bool // other programs may see other parts, or files
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
		w.hides = true
		return false
	}
	w.unsure = w.unsure || coded.MatchString(head.ContentType) || coded.MatchString(head.Disposition)
	kind, params := w.mediaType(head.ContentType)
	if strings.HasPrefix(kind, "multipart/") && depth < maxDepth && params["boundary"] != "" {
		w.boundaries = append(w.boundaries, params["boundary"])
		text, bare := around(body, params["boundary"])
		w.unsure = w.unsure || !bare
		if w.around += text + "\n\n"; len(w.around) > maxAllAround {
			w.hides, w.around = true, ""
		}
		if kind == "multipart/alternative" && w.within == 0 {
			w.groups++
			w.within = w.groups
			defer func() { w.within = 0 }()
		}
		return w.multipart(kind, multipart.NewReader(bytes.NewReader(body), params["boundary"]), depth)
	}
	w.hides = w.hides || strings.HasPrefix(kind, "multipart/")
	body, known := plain(head.Encoding, body)
	w.unsure = w.unsure || !known
	p := Part{Kind: kind, Name: cmp.Or(fileName(head.Disposition), params["name"]), Body: body,
		Alternative: w.within, Whole: known, Inline: isInline(params, head.Disposition), Readable: true}
	if strings.HasPrefix(kind, "text/") {
		p.Text, p.Readable = Decode(params["charset"], body)
		p.Readable = p.Readable || params["charset"] == ""
		p.Readable = p.Readable && !misnamed(params["charset"], body, p.Text)
		p.Flowed, p.DelSp = strings.EqualFold(params["format"], "flowed"), strings.EqualFold(params["delsp"], "yes")
	}
	return w.visit(p)
}

// mediaType is that of an entity, which is plain text where nothing is said. What can't be read might be anything: a
// multipart for other programs, or a page.
func (w *walk) mediaType(contentType string) (kind string, params map[string]string) {
	kind, params, err := mime.ParseMediaType(contentType)
	if err == nil {
		return kind, params
	}
	w.unsure = w.unsure || contentType != ""
	kind, _, _ = strings.Cut(strings.ToLower(contentType), ";")
	if top, _, _ := strings.Cut(strings.TrimSpace(kind), "/"); slices.Contains(fileKinds, top) {
		return strings.TrimSpace(kind), nil
	}
	w.hides = w.hides || contentType != ""
	return "text/plain", nil
}

// fileKinds are top-level types of what no sender writes by hand.
var fileKinds = []string{"application", "audio", "font", "image", "model", "video"}

// multipart visits the parts of one.
func (w *walk) multipart(kind string, r *multipart.Reader, depth int) bool {
	for found := false; ; found = true {
		p, err := r.NextRawPart()
		if err != nil {
			// Without a last delimiter nothing is behind the last part; without a first one nothing was seen.
			w.hides = w.hides || !errors.Is(err, io.EOF) || !found
			w.unsure = w.unsure || err != io.EOF
			return true
		}
		inner, _ := io.ReadAll(p) // what came before a defect counts
		h := p.Header
		for _, name := range []string{"Content-Type", "Content-Transfer-Encoding", "Content-Disposition"} {
			w.hides = w.hides || len(h[name]) > 1
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

// coded finds a parameter of RFC 2231, in another charset or in pieces. Not every program reads these, and of those
// that do not all know every charset: two programs may see two boundaries, or one of them a file name.
var coded = lazyregexp.New(`;[^;="]*\*[^;="]*=`)

// maxAround is how many bytes may stand before the first part, where some programs say that the mail has parts, and as
// many behind the last, where lists put a footer.
const maxAround = 1000

// around returns the text before and behind the parts of a multipart, and says whether it is nothing but a short text.
// Readers of parts skip these areas (RFC 2046 section 5.1.1); others look for files in them, or see other parts there.
func around(body []byte, boundary string) (text string, bare bool) {
	lines := bytes.Split(body, []byte("\n"))
	find := func(from int, delimiter string) int {
		for ; from < len(lines) && string(bytes.TrimRight(lines[from], " \t\r")) != delimiter; from++ {
		}
		return from
	}
	first := find(0, "--"+boundary)
	last := min(find(first, "--"+boundary+"--")+1, len(lines))
	before, behind := lines[:first], lines[last:]
	return string(bytes.Join(before, []byte("\n"))) + "\n\n" + string(bytes.Join(behind, []byte("\n"))),
		isAside(before, boundary) && isAside(behind, boundary)
}

// isAside says whether lines are a short text without parts.
func isAside(lines [][]byte, boundary string) bool {
	text := string(bytes.Join(lines, []byte("\n")))
	for line := range strings.Lines(text) {
		rule := strings.Trim(line, "-_ \t\r\n") == ""
		if strings.HasPrefix(line, "--"+boundary) || strings.HasPrefix(line, "--") && !rule {
			return false
		}
	}
	return len(text) <= maxAround && IsProse(text)
}
