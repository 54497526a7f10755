package inbound

import (
	"strings"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/mailmsg"
	"github.com/recall-milter/recall-milter/internal/outlook"
	"github.com/recall-milter/recall-milter/internal/protocol"
	"github.com/recall-milter/recall-milter/internal/protocol/cancel"
	"github.com/recall-milter/recall-milter/policy"
)

// Forms of a recall command that comes in. The last three are A, B and C of package outlook.
const (
	FormRequest = "request"  // of another gateway: multipart/report with message/recall-request
	FormTNEF    = "outlook"  // Outlook over SMTP: a winmail.dat of the class of recalls
	FormPlain   = "exchange" // Exchange has made a plain text of it
	FormCloud   = "cloud"    // Exchange Online, made in the cloud
)

// Recall is what a mail that comes in is taken for. It says nothing about who sent it.
type Recall struct {
	Form       string           // empty: no command
	ID         string           // of a request
	Date       string           // of the original, as a request says it
	Recipients []string         // whom a request names, in lower case
	Target     string           // Message-ID of the original, when the form names it
	Subjects   []policy.Subject // what the original's subject may be; none: the form names it by its Message-ID
	Keys       []cancel.Element
	Signed     []string // fields that make it a command: a signature must cover them
}

// body says by the header alone how much of the body is worth a look, in bytes. Most mail ends here, with 0.
func body(known outlook.Recalls, m *mailmsg.Message) int {
	kind, _ := m.MediaType()
	switch {
	case isRequest(m), m.IsReport("recall-status"), m.IsReport("disposition-notification"),
		m.IsReport("delivery-status"), known.ByExchange(m):
		return mailmsg.MaxBody
	case strings.HasPrefix(kind, "multipart/"), outlook.IsType(kind), outlook.FromCloud(m):
		return known.Body(m)
	}
	return 0
}

// recognise looks at the whole mail. The fields of forms B and C are signed by nobody, so anyone who has a signed mail
// could add them: only its subject, which is signed, makes such a mail a recall, and only with a known prefix.
// A mail of any form that carries anything else is none, and ordinary mail: who vouched for it would vouch for that,
// unseen.
func recognise(known outlook.Recalls, m *mailmsg.Message) (s Recall) {
	original, named := known.Original(m.Text("Subject"))
	signed := []policy.Subject{outlook.RecordedSubject(original)}
	switch t := outlook.Winmail(m); {
	case !m.Cut && carries(m):
		return Recall{}
	case isRequest(m):
		s = request(m)
	case t != nil && t.Tagged:
		s = Recall{Form: FormTNEF, Subjects: []policy.Subject{outlook.RecordedSubject(outlook.OriginalSubject(t))},
			Signed: []string{"Subject",
				"Content-Type", "Date"}}
	case t != nil && named:
		s = Recall{Form: FormTNEF, Subjects: signed, Signed: []string{"Subject", "Content-Type", "Date"}}
	case known.ByExchange(m) && named:
		s = Recall{Form: FormPlain, Subjects: signed, Signed: []string{"Subject", "Date"}}
	case outlook.FromCloud(m) && named:
		s = Recall{Form: FormCloud, Subjects: signed, Signed: []string{"Subject", "Date"}}
	}
	if keys, err := cancel.Parse(m.Field("Cancel-Key")); err == nil && s.Form != "" {
		s.Keys = append(s.Keys, keys...)
	}
	return s
}

func isRequest(m *mailmsg.Message) bool { return m.IsReport("recall-request") }

// request reads what another gateway asks for.
func request(m *mailmsg.Message) Recall {
	q, _ := protocol.ParseRequest(m)
	for n := range q.Recipients {
		q.Recipients[n] = holdstore.Fold(q.Recipients[n])
	}
	return Recall{Form: FormRequest, ID: q.ID, Date: q.Date, Recipients: q.Recipients, Target: q.MessageID, Keys: q.Keys,
		Signed: []string{"Subject", "Content-Type"}}
}
