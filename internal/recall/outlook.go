package recall

import (
	"cmp"
	"context"
	"errors"
	"net/mail"
	"slices"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/mailmsg"
	"github.com/recall-milter/recall-milter/policy"
)

// original is one message that a recall without a Message-ID can mean. It has several holds when it was split over
// several envelopes.
type original struct {
	holds   []*holdstore.Hold
	waits   bool // some of it is held, or being sent
	fit     policy.Fit
	sentNot bool // it was sent after the recall, which can't mean it
}

// originals finds the sender's messages that a recall can mean, all those that fit best. From exact to loose: the
// subject that the recall names, and those who got it; what waits comes before what has left. holdstore.ErrMany: none
// of those that were searched.
func (d *Desk) originals(ctx context.Context, r *request, subjects []policy.Subject) (best []original,
	later []*holdstore.Hold, err error) {
	m, recipients := r.mail, 0
	holds, err := d.latest(ctx, r, latestLooked, func(h *holdstore.Hold) bool {
		if h.Proven() != nil || !holdstore.Same(h.Sender.Address, m.Sender.Address) ||
			subjectFit(subjects, h) == policy.AnotherSubject || h.State == holdstore.Recalled && time.Since(h.HeldAt) >= repeated {
			return false
		}
		recipients += len(h.Recipients)
		return recipients <= originalsMost
	})
	if err != nil && (!errors.Is(err, holdstore.ErrMany) || len(holds) == 0) {
		return nil, nil, err
	}
	shown := append(m.shownRecipients(), addresses(m.Recipients)...)
	var all []original
	for _, holds := range messages(holds) {
		if o := candidate(m, subjects, shown, holds); o.sentNot {
			later = append(later, holds...)
		} else if within(m.Recipients, recipientsOf(holds)) {
			all = append(all, o)
		}
	}
	slices.SortStableFunc(all, original.compare)
	for _, o := range all {
		if o.compare(all[0]) == 0 {
			best = append(best, o)
		}
	}
	if len(best) > 1 && !best[0].waits {
		best = best[:1] // the newest of what has left
	}
	return best, later, nil
}

// repeated is how long a recall that comes again is taken for the client's retry of one that was done.
const repeated = time.Hour

// messages groups holds by the message that they hold, the newest first.
func messages(holds []*holdstore.Hold) (all [][]*holdstore.Hold) {
	at := map[string]int{}
	for _, h := range holds {
		name := cmp.Or(h.MessageID, h.ID)
		if n, known := at[name]; known {
			all[n] = append(all[n], h)
			continue
		}
		at[name] = len(all)
		all = append(all, []*holdstore.Hold{h})
	}
	return all
}

func candidate(m *Mail, subjects []policy.Subject, shown []string, holds []*holdstore.Hold) original {
	o := original{holds: holds, sentNot: m.sentBefore(holds[0])}
	for _, h := range holds {
		o.waits = o.waits || h.State == holdstore.Held || h.State == holdstore.Releasing
	}
	o.fit = policy.Fit{Subject: subjectFit(subjects, holds[0]), Recipients: policy.FitRecipients(folded(shown),
		folded(addresses(recipientsOf(holds))))}
	return o
}

// compare orders by how well a message fits. A subject from which the recall's own reply words had to be taken is worse
// than any message that has left: Outlook names the subject as it was, or without the message's reply words.
func (o original) compare(other original) int {
	rank := func(o original) int {
		n := 0
		if o.fit.Subject == policy.BothWithout {
			n += 2
		}
		if !o.waits {
			n++
		}
		return n
	}
	return cmp.Or(cmp.Compare(rank(o), rank(other)), o.fit.Compare(other.fit))
}

func subjectFit(subjects []policy.Subject, h *holdstore.Hold) policy.SubjectFit {
	fit, forms := policy.AnotherSubject, policy.ReadSubject(h.Subject).Forms()
	for _, s := range subjects {
		fit = min(fit, s.Fit(forms))
	}
	return fit
}

// sentBefore says whether the command was sent before a message, which it can't mean then.
func (m *Mail) sentBefore(h *holdstore.Hold) bool {
	return policy.SentAfter(moment(h.Date), h.HeldAt, moment(m.Field("Date")))
}

// moment is the value of a Date field; the zero time when it can't be read.
func moment(value string) time.Time {
	t, err := mail.ParseDate(value)
	if err != nil {
		return time.Time{}
	}
	return t
}

// shownRecipients are the addresses in To and Cc, as far as they can be read.
func (m *Mail) shownRecipients() (all []string) {
	for _, name := range []string{"To", "Cc"} {
		some, err := mailmsg.Addresses(m.Field(name))
		if err == nil {
			all = append(all, some...)
		}
	}
	return all
}

func recipientsOf(holds []*holdstore.Hold) (all []holdstore.Path) {
	for _, h := range holds {
		all = append(all, h.Recipients...)
	}
	return all
}

// within says whether all of some are in all.
func within(some, all []holdstore.Path) bool {
	return policy.FitRecipients(folded(addresses(some)), folded(addresses(all))) != policy.OtherRecipients
}

func addresses(paths []holdstore.Path) (list []string) {
	for _, p := range paths {
		list = append(list, p.Address)
	}
	return list
}

func folded(addresses []string) (all []string) {
	for _, a := range addresses {
		all = append(all, holdstore.Fold(a))
	}
	return all
}
