package recall

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/mailmsg"
	"github.com/recall-milter/recall-milter/internal/tnef"
)

// maybeOutlook says by the header alone whether a mail may be Outlook's "Recall This Message".
func (d *Desk) maybeOutlook(m *Mail) bool {
	if !d.o.Outlook {
		return false
	}
	id := m.field("Message-ID")
	return exchangeRecall(m) || d.named(mailmsg.Subject(m.field("Subject"))) || strings.HasPrefix(id, "<!~!") || strings.HasPrefix(id, "<!&!")
}

// exchangeRecall knows form B, which Exchange has made a plain text: the fields of a voice message, which no mail
// has together, or what Exchange Online says of itself.
func exchangeRecall(m *Mail) bool {
	if strings.EqualFold(m.field("Content-Class"), "urn:content-classes:recallmessage") ||
		strings.EqualFold(m.field("x-ms-exchange-recallreportgenerated"), "true") {
		return true
	}
	return m.field("X-CallingTelephoneNumber") == "IPM.Note" && (m.field("X-VoiceMessageDuration") != "" || m.field("X-FaxNumberOfPages") != "")
}

// named says whether a subject begins as Outlook names a recall.
func (d *Desk) named(subject string) bool {
	return slices.ContainsFunc(d.o.SubjectPrefixes, func(p string) bool { return hasPrefixFold(subject, p) })
}

func hasPrefixFold(s, prefix string) bool {
	return prefix != "" && len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}

// recallSubjects returns what the original's subject may be, ready to compare; nil: the mail is no recall of Outlook.
// A subject alone does not make one: people write "Recall: ..." too.
func (d *Desk) recallSubjects(m *Mail) []string {
	var subjects []string
	if exchangeRecall(m) {
		subjects = append(subjects, mailmsg.Subject(m.field("Thread-Topic")))
	} else if t := winmail(m); t != nil {
		subjects = append(subjects, originalSubject(t))
	} else {
		return nil
	}
	subjects = append(subjects, mailmsg.Subject(m.field("Subject")))
	var bare []string
	for _, s := range subjects {
		if b := d.bare(s); b != "" && !slices.Contains(bare, b) {
			bare = append(bare, b)
		}
	}
	return bare
}

// winmail returns the recall in a mail's winmail.dat, nil when there is none.
func winmail(m *Mail) (found *tnef.Message) {
	m.parts(func(p part) bool {
		if p.kind == "application/ms-tnef" || strings.EqualFold(p.name, "winmail.dat") {
			if t, err := tnef.Read(p.body); err == nil && t.Class == tnef.RecallClass {
				found = t
			}
		}
		return found == nil
	})
	return found
}

// originalSubject is the subject that a recall names.
func originalSubject(t *tnef.Message) string {
	return mailmsg.Shorten(mailmsg.DecodeCodepage(t.Codepage, t.OriginalSubject), mailmsg.MaxSubject)
}

// bare is a subject without what programs put before it, for comparing.
func (d *Desk) bare(subject string) string {
	for {
		before := subject
		for _, p := range d.o.SubjectPrefixes {
			if hasPrefixFold(subject, p) {
				subject = subject[len(p):]
			}
		}
		subject = strings.TrimSpace(replyPrefix.ReplaceAllString(strings.TrimSpace(subject), ""))
		if subject == before {
			return strings.ToLower(strings.Join(strings.Fields(subject), " "))
		}
	}
}

// outlook does Outlook's recall: those whose copy was taken back get no recall mail, the others get it as it is.
func (d *Desk) outlook(ctx context.Context, m *Mail, subjects []string) (Ruling, error) {
	if refusal, err := d.limited(ctx, m); err != nil || refusal != "" {
		return Ruling{Refusal: refusal, Keep: m.Recipients}, err
	}
	keep := Ruling{Keep: m.Recipients}
	mine, err := d.mine(ctx, m)
	if err != nil {
		return keep, err
	}
	a := &answer{kind: "not-found"}
	switch found := d.recalledBy(m, mine, subjects); {
	case len(found) > 1:
		a.kind, a.held = "ambiguous", found
	case len(found) == 1:
		if a, err = d.recall(ctx, m, "Outlook's recall", found, addresses(m.Recipients), nil); err != nil {
			return keep, err
		}
		keep.Keep = a.left(m.Recipients)
	}
	a.form, a.asked = "outlook", mailmsg.Subject(m.field("Subject"))
	return keep, d.answer(ctx, m, a)
}

// repeated is how long a recall that comes again is taken for the client's retry of one that was done.
const repeated = time.Hour

// recalledBy lists the holds that a recall can mean: those that wait or are being sent, and when there is none, the
// newest that has left, or was recalled a moment ago.
func (d *Desk) recalledBy(m *Mail, mine []*holdstore.Hold, subjects []string) (found []*holdstore.Hold) {
	var left []*holdstore.Hold
	for _, h := range mine {
		subject := h.Subject
		if !holdstore.Same(h.Sender.Address, m.Sender.Address) || d.named(subject) ||
			!slices.Contains(subjects, d.bare(subject)) || !within(m.Recipients, h.Recipients) {
			continue
		}
		if h.State == holdstore.Held || h.State == holdstore.Releasing {
			found = append(found, h)
		} else if h.State == holdstore.Released || time.Since(h.HeldAt) < repeated {
			left = append(left, h)
		}
	}
	if len(found) == 0 && len(left) > 0 {
		return left[:1]
	}
	return found
}

// within says whether all of some are in all.
func within(some, all []holdstore.Path) bool {
	in := map[string]bool{}
	for _, p := range all {
		in[holdstore.Fold(p.Address)] = true
	}
	return !slices.ContainsFunc(some, func(p holdstore.Path) bool { return !in[holdstore.Fold(p.Address)] })
}

func addresses(paths []holdstore.Path) (list []string) {
	for _, p := range paths {
		list = append(list, p.Address)
	}
	return list
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
