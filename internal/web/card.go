package web

import (
	"cmp"
	"strings"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/policy"
)

// card is a hold as the page shows it.
type card struct {
	ID, State, Subject string
	Title              string // the subject, or its beginning
	Seen               string // what the page knows of the hold, for its stream of events
	From               string // who sent it
	To                 string // the first recipient
	Beyond             int    // recipients beyond the first
	More               int    // recipients that are not shown
	Rule, Grace        string
	Until              time.Time // the moment of the calendar until which it waits; zero: it waits for Grace
	Reason             string    // of the rule, in the site's words
	Default            bool      // no rule, but all mail waits
	Why                string    // the text that says so
	Due, Now           time.Time
	Leaves             time.Time // as people are told: Due, or the moment of the calendar
	Held, Overdue      bool
	Recallable         bool // by this person, who may do nothing else with it otherwise
	Recipients         []recipient
	Timeline           []event
	May                acts
}

// recipient is one recipient with what became of them.
type recipient struct {
	Address, Class, Detail string
	Pending                bool
}

// event is one line of the timeline.
type event struct {
	holdstore.Event
	Self bool // whoever looks has done it
}

// acts are what can be done to a hold as it is. The store decides again when it is done.
type acts struct {
	Recall, Some, Release, Restore, Ask bool
	Extend                              []time.Duration
}

// Any says whether there is one.
func (a acts) Any() bool { return a.Recall || a.Release || a.Restore || a.Ask || len(a.Extend) > 0 }

// recipientsShown bounds the recipients on a page.
const recipientsShown = 200

// margin is how much sooner than its due moment a message is said to leave, so that a click in the last second is not
// too late while it travels.
const margin = 2 * time.Second

func (s *Server) card(c *caller, h *holdstore.Hold, lang string) card {
	now := s.now()
	v := card{ID: h.ID, Seen: fingerprint(h), State: string(h.State), Subject: h.Subject, Rule: h.Rule,
		Default: h.Rule == policy.DefaultRule, Reason: s.reason(h.Rule, lang),
		Grace: s.texts.span(lang, h.Grace), Due: h.Due.Add(-margin), Now: now, Held: h.State == holdstore.Held,
		Timeline:   timeline(c, h),
		Recallable: s.desk.Refuses(c.Person, h) == ""}
	if v.Leaves = v.Due; h.Fixed {
		v.Leaves, v.Until = h.Due, h.HeldAt.Add(h.Grace)
	}
	if v.Why = "why-default"; h.Grace != s.o.Grace {
		v.Why = "why-grace"
	}
	v.From = cmp.Or(h.Sender.Address, "<>")
	v.Overdue = !v.Due.After(now)
	if strings.TrimSpace(v.Subject) == "" {
		v.Subject = s.texts.say(lang, "no-subject")
	}
	v.Title = shorten(v.Subject)
	asked := false
	for n, r := range h.Results {
		if r.Outcome == holdstore.Sent {
			asked = true
		}
		if n < recipientsShown {
			one := recipient{h.Recipients[n].Address, strings.ReplaceAll(string(r.Outcome), " ", "-"), r.Detail,
				r.Outcome == holdstore.Pending}
			if (r.Outcome == holdstore.Sent || r.Outcome == holdstore.Requested) && !c.Operator {
				one.Detail = "" // a queue ID says nothing to a sender
			}
			v.Recipients = append(v.Recipients, one)
		}
	}
	if len(h.Recipients) > 0 {
		v.To = h.Recipients[0].Address
	}
	v.Beyond = len(h.Recipients) - 1
	v.More = len(h.Recipients) - len(v.Recipients)
	switch h.State {
	case holdstore.Held:
		if !v.Recallable {
			break
		}
		v.May.Recall, v.May.Release = true, true
		v.May.Some = len(h.Recipients) > 1 && len(h.Recipients) <= recipientsShown
		v.May.Extend = s.extensions(c, h)
	case holdstore.Releasing:
		v.May.Recall = v.Recallable
	case holdstore.Recalled:
		v.May.Restore = v.Recallable && c.mayUndo(h)
	case holdstore.Released:
		v.May.Ask = v.Recallable && asked
	}
	return v
}

// titleMost is how many characters of a subject fit above the buttons of a phone.
const titleMost = 100

// shorten returns the beginning of a subject that is long. All of it is in the timeline's part of the page.
func shorten(subject string) string {
	runes := []rune(subject)
	if len(runes) <= titleMost {
		return subject
	}
	return strings.TrimSpace(string(runes[:titleMost-1])) + "…"
}

// timeline is what happened to a hold, for somebody who looks at it.
func timeline(c *caller, h *holdstore.Hold) (all []event) {
	for n, e := range h.Timeline {
		if n == 0 && h.Rule == policy.DefaultRule {
			e.Detail = "" // no rule of the site's
		}
		if e.Verb == "answered" && !c.Operator {
			e.Detail = "" // it counts recipients; their list says in words what became of each
		}
		all = append(all, event{e, e.By != "" && e.By == c.name})
	}
	return all
}

// extensions are by how much a hold can wait longer.
func (s *Server) extensions(c *caller, h *holdstore.Hold) (all []time.Duration) {
	for _, d := range []time.Duration{10 * time.Minute, time.Hour} {
		if c.Operator || !h.Due.Add(d).After(h.HeldAt.Add(max(s.o.MaxGrace, h.Grace))) {
			all = append(all, d)
		}
	}
	return all
}
