package mailmsg

import (
	"bytes"
	"mime"
	"net/mail"
	"strings"

	"github.com/recall-milter/recall-milter/policy"
)

// MaxBody bounds what is kept of the body of a mail that is a command, or says that it is one, in bytes.
const MaxBody = 1 << 20

// Message is a mail: its header, and as much of its body as was read.
type Message struct {
	Fields []policy.Field
	Body   []byte
	Cut    bool // the message has more than Body

	search *PartSearch // of the body, when it is cut; nil: the mail has no parts
}

// Field returns the first field of a name on one line, "" when there is none.
func (m *Message) Field(name string) string {
	for _, f := range m.Fields {
		if f.Is(name) {
			return oneLine(f)
		}
	}
	return ""
}

// Values returns every field of a name, each on one line.
func (m *Message) Values(name string) (all []string) {
	for _, f := range m.Fields {
		if f.Is(name) {
			all = append(all, oneLine(f))
		}
	}
	return all
}

func oneLine(f policy.Field) string {
	return strings.TrimSpace(policy.Unfold(f.Value))
}

// Has says whether the mail has a field of a name that is not empty.
func (m *Message) Has(name string) bool { return m.Field(name) != "" }

// Text is the text of the first field of a name, as the function Text reads it.
func (m *Message) Text(name string) string { return Text(m.Field(name)) }

// MediaType is that of the mail, in lower case, with its parameters.
func (m *Message) MediaType() (kind string, params map[string]string) {
	kind, params, err := mime.ParseMediaType(m.Field("Content-Type"))
	if err != nil {
		return "", nil
	}
	return kind, params
}

// IsReport says by the header whether a mail is a multipart/report of this type (RFC 6522).
func (m *Message) IsReport(reportType string) bool {
	kind, params := m.MediaType()
	return kind == "multipart/report" && strings.EqualFold(params["report-type"], reportType)
}

// Skip takes a piece of the body behind Body, the first of which says that the mail is cut.
func (m *Message) Skip(piece []byte) {
	if !m.Cut {
		m.Cut, m.search = true, NewPartSearch(m.Field("Content-Type"), m.Body)
	}
	if m.search != nil {
		m.search.Skip(piece)
	}
}

// GoesOn says of a mail that is cut whether what was skipped can belong to a further part: it has no parts, or another
// one has begun.
func (m *Message) GoesOn() bool { return m.search == nil || m.search.GoesOn() }

// Parts calls visit for each leaf of the mail, as the function Parts does.
func (m *Message) Parts(visit func(Part) bool) Extent {
	head := EntityHeader{ContentType: m.Field("Content-Type"), Encoding: m.Field("Content-Transfer-Encoding"),
		Disposition: m.Field("Content-Disposition")}
	return Parts(head, m.Body, visit)
}

// MessageID returns the Message-ID of a message that is attached, "" when it has none.
func (p Part) MessageID() string {
	m, err := mail.ReadMessage(bytes.NewReader(p.Body))
	if err != nil {
		return ""
	}
	return policy.MessageID(m.Header.Get("Message-ID"))
}
