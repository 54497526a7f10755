package recall

import (
	"context"
	"slices"
	"strings"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/mailmsg"
	"github.com/recall-milter/recall-milter/internal/tnef"
	"github.com/recall-milter/recall-milter/policy"
)

// outlookBody says by the header alone how much of a mail's body tells whether it is Outlook's "Recall This Message",
// in bytes; 0: it is not.
func (d *Desk) outlookBody(m *Mail) int {
	switch {
	case d.markedRecall(m):
		return MaxBody
	case mayCarryTNEF(m):
		return MaxHidden
	}
	return 0
}

// markedRecall says whether the header has a mark of a recall.
func (d *Desk) markedRecall(m *Mail) bool {
	id := m.Field("Message-ID")
	return d.exchangeRecall(m) || d.named(m.Text("Subject")) || strings.HasPrefix(id, "<!~!") || strings.HasPrefix(id, "<!&!")
}

// mayCarryTNEF says whether a mail may have a winmail.dat, which alone says in any language that it is a recall:
// Exchange gives it an ordinary Message-ID. Outlook and Exchange leave fields of their own in all that they send.
func mayCarryTNEF(m *Mail) bool {
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

// isTNEF knows a winmail.dat by its type, its name or its content: programs get one or the other wrong.
func isTNEF(p mailmsg.Part) bool {
	return tnefTypes[p.Kind] || strings.EqualFold(p.Name, "winmail.dat") || tnef.Is(p.Body)
}

// exchangeRecall knows form B, which Exchange has made a plain text: the fields of a voice message, which no mail has
// together, or what Exchange says of itself. What Exchange Online says is in reports of recalls as well, so it takes a
// subject of a recall too.
func (d *Desk) exchangeRecall(m *Mail) bool {
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
	return strings.EqualFold(m.Field("X-MS-Exchange-RecallReportGenerated"), "true") && d.named(m.Text("Subject"))
}

// named says whether a subject begins as Outlook names a recall.
func (d *Desk) named(subject string) bool {
	_, ok := d.behindPrefix(subject)
	return ok
}

// behindPrefix takes the name of a recall off a subject, once: the message's own subject may begin with it too.
func (d *Desk) behindPrefix(subject string) (original string, ok bool) {
	subject = policy.Visible(subject)
	for _, prefix := range d.o.SubjectPrefixes {
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

// recallSubjects returns what the original's subject may be; ok is false when the mail is no recall of Outlook. A
// subject alone does not make one: people write "Recall: ..." too.
func (d *Desk) recallSubjects(m *Mail) (subjects []policy.Subject, ok bool) {
	t := winmail(m)
	if t == nil && !d.exchangeRecall(m) {
		return nil, false
	}
	if t != nil && t.Tagged {
		subjects = append(subjects, readTopic(originalSubject(t)))
	}
	if m.Has("Thread-Topic") {
		subjects = append(subjects, readTopic(m.Text("Thread-Topic")))
	}
	if original, listed := d.behindPrefix(m.Text("Subject")); listed {
		subjects = append(subjects, readTopic(original))
	} else if len(subjects) == 0 { // a prefix that nobody has listed
		_, original, _ = strings.Cut(original, ":")
		subjects = append(subjects, readTopic(original))
	}
	return subjects, true
}

// winmail returns the recall in a mail's winmail.dat, nil when there is none.
func winmail(m *Mail) (found *tnef.Message) {
	m.Parts(func(p mailmsg.Part) bool {
		if isTNEF(p) {
			if t, err := tnef.Read(p.Body); err == nil && t.Class == tnef.RecallClass {
				found = t
			}
		}
		return found == nil
	})
	return found
}

// originalSubject is the subject that a winmail.dat names.
func originalSubject(t *tnef.Message) string {
	return mailmsg.DecodeCodepage(t.Codepage, t.OriginalSubject)
}

// readTopic reads the subject of an original, as far as the record of a message has it.
func readTopic(text string) policy.Subject {
	return policy.ReadSubject(mailmsg.Shorten(policy.Visible(text), mailmsg.MaxSubject))
}

// outlook does Outlook's recall: those whose copy was taken back get no recall mail, the others get it as it is.
func (d *Desk) outlook(ctx context.Context, m *Mail, subjects []policy.Subject) (Ruling, error) {
	if refusal, err := d.limited(ctx, m); err != nil || refusal != "" {
		return Ruling{Refusal: refusal, Keep: m.Recipients}, err
	}
	keep := Ruling{Keep: m.Recipients}
	leave, err := d.enter(ctx, m, nil, latestLooked)
	if err != nil {
		return keep, err
	}
	defer leave()
	found, later, err := d.originals(ctx, m, subjects)
	if err != nil {
		return keep, err
	}
	a := &answer{kind: "not-found"}
	switch {
	case len(found) > 1:
		a.kind = "ambiguous"
		for _, o := range found {
			a.held = append(a.held, o.holds...)
		}
	case len(found) == 1:
		if a, err = d.recall(ctx, m, "Outlook's recall", found[0].holds, addresses(m.Recipients), nil); err != nil {
			return keep, err
		}
		keep.Keep = a.left(m.Recipients)
	case len(inState(later, holdstore.Held)) > 0: // by their Date; clocks may be wrong
		a.kind, a.held = "ambiguous", inState(later, holdstore.Held)
	}
	a.form, a.asked = "outlook", m.Text("Subject")
	return keep, d.answer(ctx, m, a)
}

// left returns the recipients whose copy was not taken back.
func (a *answer) left(all []holdstore.Path) (some []holdstore.Path) {
	back := map[string]bool{}
	for _, o := range a.outcomes() {
		if o.Outcome == holdstore.TakenBack {
			back[holdstore.Fold(o.Address)] = true
		}
	}
	for _, p := range all {
		if !back[holdstore.Fold(p.Address)] {
			some = append(some, p)
		}
	}
	return some
}
