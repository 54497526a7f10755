package recall

import (
	"cmp"
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
	forAll  bool // all that the recall is for got it
}

// canMean says of which holds an Outlook recall may mean one. There are bounds to their recipients.
func canMean(r *request) func(*holdstore.Hold) bool {
	recipients := 0
	return func(h *holdstore.Hold) bool {
		if h.Proven() != nil || !holdstore.Same(h.Sender.Address, r.mail.Sender.Address) ||
			subjectFit(r.subjects, h) == policy.AnotherSubject ||
			h.State == holdstore.Recalled && time.Since(h.HeldAt) >= repeated {
			return false
		}
		recipients += len(h.Recipients)
		return recipients <= originalsMost
	}
}

// originals picks, of the sender's holds, the messages that a recall can mean, all those that fit best. From exact to
// loose: the subject that the recall names, and those who got it; what waits comes before what has left. later were
// sent after the recall.
func originals(r *request, holds []*holdstore.Hold) (best []original, later []*holdstore.Hold) {
	to := folded(addresses(r.mail.Recipients))
	shown := append(folded(r.mail.shownRecipients()), to...)
	var all []original
	for _, holds := range messages(holds) {
		switch o := candidate(r, to, shown, holds); {
		case o.sentNot:
			later = append(later, holds...)
		case o.forAll:
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
	return best, later
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

// candidate says how well a recall for some addresses, which shows others as well, fits a message.
func candidate(r *request, to, shown []string, holds []*holdstore.Hold) original {
	o := original{holds: holds, sentNot: r.mail.sentBefore(holds[0])}
	for _, h := range holds {
		o.waits = o.waits || h.State == holdstore.Held || h.State == holdstore.Releasing
	}
	got := folded(addresses(recipientsOf(holds)))
	o.fit.Subject = subjectFit(r.subjects, holds[0])
	o.fit.Recipients = policy.FitRecipients(shown, got)
	o.forAll = policy.FitRecipients(to, got) != policy.OtherRecipients
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
	written, asked := moment(h.Date), moment(m.Field("Date"))
	return policy.SentAfter(written, h.HeldAt, asked)
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
