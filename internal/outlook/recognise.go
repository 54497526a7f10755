// Package outlook recognises what Outlook and Exchange send for "Recall This Message", and reads the subject and the
// time of the message that is to come back. Which message that is, package recall finds for our own senders, and
// package inbound for mail that comes in.
//
// Outlook sends a mail with a winmail.dat (form A); Exchange makes it a plain text with fields of a voice message, or
// says of itself that it is a recall (form B); Exchange Online sends it from the cloud (form C). Nothing here says who
// has sent a mail, and a subject alone makes none a recall: people write "Recall: ..." too.
package outlook

import (
	"slices"
	"strings"

	"github.com/recall-milter/recall-milter/internal/mailmsg"
	"github.com/recall-milter/recall-milter/internal/outlook/tnef"
	"github.com/recall-milter/recall-milter/policy"
)

// MaxWinmail bounds what is kept of the body of a mail that nothing but a winmail.dat in it would make a recall, in
// bytes; most that Exchange sends is such mail. Outlook's recalls have less than 50 KB; what is larger is ordinary
// mail.
const MaxWinmail = 128 << 10

// Recalls knows recalls by the prefixes with which Outlook begins their subject, in the languages of a site's users.
type Recalls []string

// Body says by the header alone how much of a mail's body tells whether it is Outlook's "Recall This Message",
// in bytes; 0: it is not.
func (p Recalls) Body(m *mailmsg.Message) int {
	switch {
	case p.marked(m):
		return mailmsg.MaxBody
	case mayHaveWinmail(m):
		return MaxWinmail
	}
	return 0
}

// marked says whether the header has a mark of a recall.
func (p Recalls) marked(m *mailmsg.Message) bool {
	id := m.Field("Message-ID")
	return p.ByExchange(m) || p.named(m.Text("Subject")) || strings.HasPrefix(id, "<!~!") || strings.HasPrefix(id, "<!&!")
}

// mayHaveWinmail says whether a mail may have a winmail.dat, which alone says in any language that it is a recall:
// Exchange gives it an ordinary Message-ID. Outlook and Exchange leave fields of their own in all that they send.
func mayHaveWinmail(m *mailmsg.Message) bool {
	kind, _ := m.MediaType()
	switch {
	case tnefTypes[kind]:
		return true
	case !strings.HasPrefix(kind, "multipart/"):
		return false
	}
	return strings.Contains(strings.ToLower(m.Field("X-Mailer")), "outlook") || strings.Contains(m.Field("X-MimeOLE"),
		"Exchange") ||
		slices.ContainsFunc([]string{"X-MS-TNEF-Correlator", "X-MS-Has-Attach", "Thread-Index", "Thread-Topic"}, m.Has)
}

// tnefTypes are the media types of a winmail.dat.
var tnefTypes = map[string]bool{"application/ms-tnef": true, "application/vnd.ms-tnef": true}

// IsType says whether a media type is that of a winmail.dat.
func IsType(kind string) bool { return tnefTypes[kind] }

// IsTNEF knows a winmail.dat by its type, its name or its content: programs get one or the other wrong.
func IsTNEF(p mailmsg.Part) bool {
	return tnefTypes[p.Kind] || strings.EqualFold(p.Name, "winmail.dat") || tnef.Is(p.Body)
}

// ByExchange knows form B, which Exchange has made a plain text: the fields of a voice message, which no mail has
// together, or what Exchange says of itself. What Exchange Online says is in reports of recalls as well, so it takes a
// subject of a recall too.
func (p Recalls) ByExchange(m *mailmsg.Message) bool {
	class := strings.ToLower(m.Field("Content-Class"))
	switch {
	case class == "urn:content-classes:recallmessage":
		return true
	case class == "urn:content-classes:recallreport":
		return false
	case m.Field("X-CallingTelephoneNumber") == "IPM.Note" && (m.Has("X-VoiceMessageDuration") ||
		m.Has("X-FaxNumberOfPages")):
		return true
	}
	return strings.EqualFold(m.Field("X-MS-Exchange-RecallReportGenerated"), "true") && p.named(m.Text("Subject"))
}

// named says whether a subject begins as Outlook names a recall.
func (p Recalls) named(subject string) bool {
	_, ok := p.Original(subject)
	return ok
}

// Original takes the name of a recall off a subject, once: the message's own subject may begin with it too.
func (p Recalls) Original(subject string) (original string, ok bool) {
	subject = policy.Visible(subject)
	for _, prefix := range p {
		word, colon := strings.CutSuffix(policy.Visible(prefix), ":")
		rest, ok := cutFold(subject, word)
		if !ok || word == "" {
			continue
		}
		if !colon {
			return strings.TrimSpace(rest), true
		}
		rest = strings.TrimLeft(rest, " ")
		for _, colon := range []string{":", "："} {
			if original, ok := strings.CutPrefix(rest, colon); ok {
				return strings.TrimSpace(original), true
			}
		}
	}
	return subject, false
}

// Subjects returns what the original's subject may be; ok is false when the mail is not a recall of Outlook. A
// subject alone does not make one: people write "Recall: ..." too. Form C is none here: nobody sends it but Exchange
// Online.
func (p Recalls) Subjects(m *mailmsg.Message) (subjects []policy.Subject, ok bool) {
	t := Winmail(m)
	if t == nil && !p.ByExchange(m) {
		return nil, false
	}
	if t != nil && t.Tagged {
		subjects = append(subjects, RecordedSubject(OriginalSubject(t)))
	}
	if m.Has("Thread-Topic") {
		subjects = append(subjects, RecordedSubject(m.Text("Thread-Topic")))
	}
	if original, listed := p.Original(m.Text("Subject")); listed {
		subjects = append(subjects, RecordedSubject(original))
	} else if len(subjects) == 0 { // a prefix that nobody has listed
		_, original, _ = strings.Cut(original, ":")
		subjects = append(subjects, RecordedSubject(original))
	}
	return subjects, true
}

// Winmail returns the recall in a mail's winmail.dat, nil when there is none.
func Winmail(m *mailmsg.Message) (found *tnef.Message) {
	m.Parts(func(p mailmsg.Part) bool {
		if IsTNEF(p) {
			if t, err := tnef.Read(p.Body); err == nil && t.Class == tnef.RecallClass {
				found = t
			}
		}
		return found == nil
	})
	return found
}

// OriginalSubject is the subject that a winmail.dat names.
func OriginalSubject(t *tnef.Message) string {
	return mailmsg.DecodeCodepage(t.Codepage, t.OriginalSubject)
}

// RecordedSubject reads the subject of an original, as far as the record of a message has it.
func RecordedSubject(text string) policy.Subject {
	return policy.ReadSubject(mailmsg.Shorten(policy.Visible(text), mailmsg.MaxSubject))
}

// cutFold takes a word in any case off the beginning of a text.
func cutFold(text, word string) (rest string, ok bool) {
	if len(text) < len(word) || !strings.EqualFold(text[:len(word)], word) {
		return text, false
	}
	return text[len(word):], true
}

// FromCloud knows form C: handed over by HTTP inside Exchange Online, with a Message-ID whose right side is no
// domain.
func FromCloud(m *mailmsg.Message) bool {
	_, right, _ := strings.Cut(strings.Trim(m.Field("Message-ID"), "<>"), "@")
	return !strings.Contains(right, ".") && slices.ContainsFunc(m.Fields, func(f policy.Field) bool {
		return f.Is("Received") && strings.Contains(f.Value, "substrate.office.com") &&
			strings.Contains(f.Value, "with HTTP")
	})
}
