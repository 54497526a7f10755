package recall

import (
	"bytes"
	"mime"
	"net/mail"
	"strings"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/mailmsg"
	"github.com/recall-milter/recall-milter/policy"
)

// Bounds of what is kept of a body, in bytes.
const (
	MaxBody = 1 << 20 // of what is a command, or says that it is one
	// Of a mail that nothing but a winmail.dat in it would make a recall, as in most that Exchange sends. Outlook's
	// recalls have less than 50 KB; what is larger is ordinary mail.
	MaxHidden = 128 << 10
)

// Mail is a message that leaves, as far as commands are concerned.
type Mail struct {
	holdstore.Submission
	Fields []policy.Field
	Body   []byte // at most MaxBody
	Cut    bool   // the message has more than Body
	Holds  bool   // the policy holds it

	rest *mailmsg.Rest // of the body, when it is cut; nil: the mail has no parts

	replaced []*holdstore.Hold // what the commit of this mail takes back
}

// field returns the first field of a name on one line, "" when there is none.
func (m *Mail) field(name string) string {
	for _, f := range m.Fields {
		if isField(f, name) {
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

// Skip takes a piece of the body behind Body, the first of which says that the mail is cut.
func (m *Mail) Skip(piece []byte) {
	if !m.Cut {
		m.Cut, m.rest = true, mailmsg.NewRest(m.field("Content-Type"), m.Body)
	}
	if m.rest != nil {
		m.rest.Skip(piece)
	}
}

// parts calls visit for each leaf of the mail; mailmsg.Parts says what it promises.
func (m *Mail) parts(visit func(mailmsg.Part) bool) (whole bool) {
	head := mailmsg.EntityHeader{ContentType: m.field("Content-Type"), Encoding: m.field("Content-Transfer-Encoding"),
		Disposition: m.field("Content-Disposition")}
	return mailmsg.Parts(head, m.Body, visit)
}

// attachedID returns the Message-ID of a forwarded message.
func attachedID(p mailmsg.Part) string {
	m, err := mail.ReadMessage(bytes.NewReader(p.Body))
	if err != nil {
		return ""
	}
	return policy.MessageID(m.Header.Get("Message-ID"))
}
