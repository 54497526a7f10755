package recall

import (
	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/mailmsg"
	"github.com/recall-milter/recall-milter/internal/outlook"
	"github.com/recall-milter/recall-milter/internal/recall/command"
	"github.com/recall-milter/recall-milter/policy"
)

// Forms of a recall command.
const (
	formAddress    = "address"    // a mail to the recall address
	formOutlook    = "outlook"    // "Recall This Message"
	formSupersedes = "supersedes" // a message that replaces another one (RFC 2156 section 5.3.8)
)

// request is what a mail asks for, read once.
type request struct {
	mail     *Mail
	by       submitter
	form     string           // empty: nothing
	ignored  string           // why the mail has no effect; empty: it has
	keep     []holdstore.Path // recipients that get the mail all the same
	target   command.Target   // of an Outlook recall only whom it is for
	subjects []policy.Subject // that an Outlook recall can mean
}

// Candidate is what the header of a mail says of it.
type Candidate struct {
	May    bool             // it may be a command
	Body   int              // bytes of its body that tell, at most
	Others []holdstore.Path // who gets it whatever it says: everybody but the recall address
}

// Examine says at the end of the header whether a mail may be a command.
func (d *Desk) Examine(sub holdstore.Submission, fields []policy.Field) (c Candidate) {
	m := &Mail{Submission: sub, Message: mailmsg.Message{Fields: fields}}
	c.Others = d.others(m)
	switch {
	case len(c.Others) < len(sub.Recipients):
		c.Body = mailmsg.MaxBody
	case d.o.Outlook:
		c.Body = d.recalls().Body(&m.Message)
	}
	c.May = c.Body > 0 || d.supersedes(m) != "" // whose body says nothing
	return c
}

// others are the recipients of a mail but for the recall addresses.
func (d *Desk) others(m *Mail) (others []holdstore.Path) {
	for _, p := range m.Recipients {
		if !d.addresses.Has(p.Address) {
			others = append(others, p)
		}
	}
	return others
}

// recalls knows what Outlook sends.
func (d *Desk) recalls() outlook.Recalls { return outlook.Recalls(d.o.SubjectPrefixes) }

// read reads what a mail asks for. A mail in doubt asks for nothing.
func (d *Desk) read(m *Mail) *request {
	r := &request{mail: m, by: d.submitter(&m.Submission), keep: d.others(m)}
	old, notOwn := d.supersedes(m), notOwn(m)
	if len(r.keep) < len(m.Recipients) {
		if r.form, r.ignored = formAddress, automatic(m); r.ignored == "" {
			r.target = command.Read(&m.Message, d.o.Addresses)
		}
		return r
	}
	if d.o.Outlook && !m.Cut && d.recalls().Body(&m.Message) > 0 {
		if subjects, ok := d.recalls().Subjects(&m.Message); ok {
			r.form, r.subjects, r.target.Only = formOutlook, subjects, addresses(m.Recipients)
		}
	}
	if r.form == "" && old != "" {
		r.form, r.target.Refs = formSupersedes, []string{old}
	}
	if r.form != "" {
		r.ignored = notOwn
	}
	return r
}

// supersedes returns the Message-ID that a mail replaces (Supersedes, RFC 2156 section 5.3.8), "" when it does not.
func (d *Desk) supersedes(m *Mail) string {
	if !d.o.Supersedes {
		return ""
	}
	old := policy.MessageID(m.Field("Supersedes"))
	if old == m.MessageID {
		return ""
	}
	return old
}

// automatic says why a mail was not written by a person, so that it is not a command; empty: it was.
func automatic(m *Mail) string {
	if m.Sender.Address == "" {
		return "null sender"
	}
	return m.Automatic()
}

// notOwn says why a mail is not its envelope sender's own, so that what it says of recalls has no effect on their mail:
// a stranger's mail that a filter passes on keeps the stranger's From. Empty: it is. The MTA writes a From that is
// missing. It counts for Outlook's form and Supersedes; a mail to the recall address only must not be automatic.
func notOwn(m *Mail) string {
	if why := automatic(m); why != "" {
		return why
	}
	if m.Has("X-Recall-Policy") {
		return "it has come in by a gateway"
	}
	from := 0
	for _, f := range m.Fields {
		if !f.Is("From") {
			continue
		}
		address, err := mailmsg.Address(f.Value)
		if from++; from > 1 || err != nil || !holdstore.Same(address, m.Sender.Address) {
			return "From is not the envelope sender"
		}
	}
	return ""
}
