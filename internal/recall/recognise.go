package recall

import (
	"slices"
	"strings"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/cancel"
	"github.com/recall-milter/recall-milter/policy"
)

// Forms of a recall command that comes in.
const (
	FormRequest = "request" // of another gateway: multipart/report with message/recall-request
	FormTNEF    = "outlook" // Outlook over SMTP: a winmail.dat of the class of recalls
	FormPlain   = "exchange"
	FormCloud   = "cloud" // Exchange Online, made in the cloud
)

// Sight is what a mail that comes in is taken for. It says nothing about who sent it.
type Sight struct {
	Form       string           // empty: no command
	ID         string           // of a request
	Date       string           // of the original, as a request says it
	Recipients []string         // whom a request names, in lower case
	Target     string           // Message-ID of the original, when the form names it
	Subjects   []policy.Subject // what the original's subject may be; none: the form names it by its Message-ID
	Keys       []cancel.Element
	Signed     []string // fields that make it a command: a signature must cover them
}

// Recogniser knows recall commands among the mail that comes in, by the prefixes with which Outlook names a recall.
// Safe for concurrent use.
type Recogniser struct{ d Desk }

// NewRecogniser returns one for the prefixes of recall.subject_prefixes.
func NewRecogniser(prefixes []string) *Recogniser {
	return &Recogniser{Desk{o: Options{Outlook: true, SubjectPrefixes: prefixes}}}
}

// Body says by the header alone how much of the body is worth a look, in bytes. Most mail ends here, with 0.
func (r *Recogniser) Body(m *Mail) int {
	kind, _ := m.MediaType()
	switch {
	case isRequest(m), m.IsReport("recall-status"), m.IsReport("disposition-notification"), m.IsReport("delivery-status"), r.d.exchangeRecall(m):
		return MaxBody
	case strings.HasPrefix(kind, "multipart/"), tnefTypes[kind], cloudRecall(m):
		return r.d.outlookBody(m)
	}
	return 0
}

// Recognise looks at the whole mail. The fields of forms B and C are signed by nobody, so anyone who has a signed mail
// could add them: only its subject, which is signed, makes such a mail a recall, and only with a known prefix.
// A mail with a winmail.dat that carries anything else is none: who vouched for it would vouch for that, unseen.
func (r *Recogniser) Recognise(m *Mail) (s Sight) {
	original, named := r.d.behindPrefix(m.Text("Subject"))
	signed := []policy.Subject{readTopic(original)}
	switch t := winmail(m); {
	case !m.Cut && carries(m):
		return Sight{}
	case isRequest(m):
		s = request(m)
	case t != nil && t.Tagged:
		s = Sight{Form: FormTNEF, Subjects: []policy.Subject{readTopic(originalSubject(t))}, Signed: []string{"Subject",
			"Content-Type", "Date"}}
	case t != nil && named:
		s = Sight{Form: FormTNEF, Subjects: signed, Signed: []string{"Subject", "Content-Type", "Date"}}
	case r.d.exchangeRecall(m) && named:
		s = Sight{Form: FormPlain, Subjects: signed, Signed: []string{"Subject", "Date"}}
	case cloudRecall(m) && named:
		s = Sight{Form: FormCloud, Subjects: signed, Signed: []string{"Subject", "Date"}}
	}
	if keys, err := cancel.Parse(m.Field("Cancel-Key")); err == nil && s.Form != "" {
		s.Keys = append(s.Keys, keys...)
	}
	return s
}

func isRequest(m *Mail) bool { return m.IsReport("recall-request") }

// cloudRecall knows form C: handed over by HTTP inside Exchange Online, with a Message-ID whose right side is no
// domain.
func cloudRecall(m *Mail) bool {
	_, right, _ := strings.Cut(strings.Trim(m.Field("Message-ID"), "<>"), "@")
	return !strings.Contains(right, ".") && slices.ContainsFunc(m.Fields, func(f policy.Field) bool {
		return holdstore.Same(f.Name, "Received") && strings.Contains(f.Value, "substrate.office.com") &&
			strings.Contains(f.Value, "with HTTP")
	})
}

// request reads what another gateway asks for.
func request(m *Mail) Sight {
	q, _ := ParseRequest(m)
	for n := range q.Recipients {
		q.Recipients[n] = holdstore.Fold(q.Recipients[n])
	}
	return Sight{Form: FormRequest, ID: q.ID, Date: q.Date, Recipients: q.Recipients, Target: q.MessageID, Keys: q.Keys,
		Signed: []string{"Subject", "Content-Type"}}
}
