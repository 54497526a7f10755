package recall

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"strings"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/mailmsg"
	"github.com/recall-milter/recall-milter/policy"
)

// MaxBody is how much of a body is looked at; an Outlook recall has less than 50 KB.
const MaxBody = 1 << 20

// Bounds of what is read of one mail.
const (
	maxDepth = 8   // of multiparts
	maxParts = 100 // of all depths together
)

// Mail is a message that leaves, as far as commands are concerned.
type Mail struct {
	holdstore.Submission
	Fields []policy.Field
	Body   []byte // at most MaxBody
	Cut    bool   // the message has more than Body
	Holds  bool   // the policy holds it

	replaced []*holdstore.Hold // what the commit of this mail takes back
}

// field returns the first field of a name on one line, "" when there is none.
func (m *Mail) field(name string) string {
	for _, f := range m.Fields {
		if strings.EqualFold(f.Name, name) {
			return strings.TrimSpace(strings.NewReplacer("\r", "", "\n", "").Replace(f.Value))
		}
	}
	return ""
}

// has says whether the mail has a field of a name that is not empty.
func (m *Mail) has(name string) bool { return m.field(name) != "" }

// subject is the text of Subject.
func (m *Mail) subject() string { return mailmsg.Text(m.field("Subject")) }

// mediaType is that of the mail, in lower case, with its parameters.
func (m *Mail) mediaType() (kind string, params map[string]string) {
	kind, params, err := mime.ParseMediaType(m.field("Content-Type"))
	if err != nil {
		return "", nil
	}
	return kind, params
}

// part is one leaf of a mail.
type part struct {
	kind string // media type, in lower case
	name string // of a file
	body []byte // transfer encoding undone
	text string // of text/*, its charset undone

	inline        bool // it has no file name, and is shown with the mail
	readable      bool // its charset is known
	flowed, delSp bool // format=flowed of a text, and its parameter DelSp (RFC 3676)
}

// parts calls visit for each leaf of the mail, in order, until it says false. Defects end a branch, not the walk.
// It says whether all of them could be seen; that visit said false hides none.
func (m *Mail) parts(visit func(part) bool) (whole bool) {
	w := walk{visit: visit, left: maxParts}
	w.entity(entityHeader{m.field("Content-Type"), m.field("Content-Transfer-Encoding"), m.field("Content-Disposition")}, m.Body, 0)
	return !w.unseen
}

type walk struct {
	visit  func(part) bool
	left   int
	unseen bool // a defect or a bound hides parts, which other programs may see
}

// entityHeader are the fields that say what an entity is.
type entityHeader struct{ contentType, encoding, disposition string }

// entity visits one entity and says whether to go on.
func (w *walk) entity(head entityHeader, body []byte, depth int) bool {
	if w.left--; w.left < 0 {
		w.unseen = true
		return false
	}
	w.unseen = w.unseen || coded.MatchString(head.contentType) || coded.MatchString(head.disposition)
	kind, params, err := mime.ParseMediaType(head.contentType)
	if err != nil {
		w.unseen = w.unseen || head.contentType != "" // others may see a multipart there
		kind, params = "text/plain", nil
	}
	if strings.HasPrefix(kind, "multipart/") && depth < maxDepth && params["boundary"] != "" {
		w.unseen = w.unseen || !bareAround(body, params["boundary"])
		return w.multipart(kind, multipart.NewReader(bytes.NewReader(body), params["boundary"]), depth)
	}
	w.unseen = w.unseen || strings.HasPrefix(kind, "multipart/")
	body, known := plain(head.encoding, body)
	w.unseen = w.unseen || !known
	p := part{kind: kind, name: cmp.Or(fileName(head.disposition), params["name"]), body: body, inline: isInline(params, head.disposition), readable: true}
	if strings.HasPrefix(kind, "text/") {
		p.text, p.readable = mailmsg.Decode(params["charset"], body)
		p.readable = p.readable || params["charset"] == ""
		p.flowed, p.delSp = strings.EqualFold(params["format"], "flowed"), strings.EqualFold(params["delsp"], "yes")
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
		if !w.entity(entityHeader{contentType, h.Get("Content-Transfer-Encoding"), h.Get("Content-Disposition")}, inner, depth+1) {
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
	return mailmsg.Text(params["filename"])
}

// plain undoes a transfer encoding, as far as it is right. It says whether that is all: others may read on where it is wrong,
// or know another one.
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

// original returns the Message-ID of a forwarded message.
func (p part) original() string {
	m, err := mail.ReadMessage(bytes.NewReader(p.body))
	if err != nil {
		return ""
	}
	return policy.MessageID(m.Header.Get("Message-ID"))
}
