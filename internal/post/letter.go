package post

import (
	"slices"
	"strings"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/sanitize"
	"github.com/recall-milter/recall-milter/policy"
)

// maxTold bounds the recipients and holds that one mail lists.
const maxTold = 200

// letter is what a text can say.
type letter struct {
	Subject   string
	MessageID string
	ID        string // of the hold
	HeldAt    string
	Until     string // when a held message leaves
	Rule      string // that holds it; empty: all mail waits
	Reason    string // why it waits, in the site's words; empty: the site has not said it
	Rcpt      []RecipientOutcome
	More      int      // recipients beyond maxTold
	Missing   []string // addresses that ONLY names and that did not get the message
	Waits     bool     // it is held
	Act       bool     // something else than a recall was asked for
	Asked     string
	Why       string
	Held      []waiting
	From      string // address of the person who asks to recall
	AnswerBy  string // until when other gateways may answer; empty: none was asked
	NotAsked  bool   // some recipients who got it have a gateway that was not asked
	Again     bool   // an earlier report has gone out
	Told      []told // recipients, as another gateway is told, or as it has told
	Address   string // where to send recall commands; empty: there is none
	Link      string // of a page; empty: there is none
}

// told is what another gateway is told of a recipient.
type told struct{ Address, Words, Detail string }

// waiting is one held message in a list.
type waiting struct{ ID, Subject, To, Until string }

// letter fills in what a text can say; local gives moments the zone of its reader.
func (a *Answer) letter(address, language string, local func(time.Time) time.Time) letter {
	l := letter{Act: a.Act, Asked: sanitize.HeaderValue(a.Asked), Why: sanitize.HeaderValue(a.Why), Address: address,
		AnswerBy: until(a.AnswerBy, language, local)}
	if len(a.Done) > 0 {
		h := a.Done[0]
		l.Subject, l.MessageID = sanitize.HeaderValue(h.Subject), sanitize.HeaderValue(h.MessageID)
		l.Waits = h.State == holdstore.Held
		l.ID, l.HeldAt, l.Until = h.ID, clock(local(h.HeldAt), language), clock(local(h.Due), language)
		if h.Rule != policy.DefaultRule {
			l.Rule = sanitize.HeaderValue(h.Rule)
		}
	}
	l.Rcpt = a.Outcomes()
	l.NotAsked = slices.ContainsFunc(l.Rcpt, RecipientOutcome.notAsked)
	if len(l.Rcpt) > maxTold {
		l.More, l.Rcpt = len(l.Rcpt)-maxTold, l.Rcpt[:maxTold]
	}
	for _, address := range a.Missing()[:min(len(a.Missing()), maxTold)] {
		l.Missing = append(l.Missing, sanitize.HeaderValue(address))
	}
	for n := range l.Rcpt {
		l.Rcpt[n].At = local(l.Rcpt[n].At)
		l.Rcpt[n].Address, l.Rcpt[n].Detail = sanitize.HeaderValue(l.Rcpt[n].Address), sanitize.HeaderValue(l.Rcpt[n].Detail)
	}
	for _, h := range a.Held[:min(len(a.Held), maxTold)] {
		var to []string
		for _, r := range h.Recipients[:min(len(h.Recipients), 3)] {
			to = append(to, sanitize.HeaderValue(r.Address))
		}
		if len(h.Recipients) > 3 {
			to = append(to, "...")
		}
		l.Held = append(l.Held, waiting{h.ID, sanitize.HeaderValue(h.Subject), strings.Join(to, ", "),
			clock(local(h.Due), language)})
	}
	return l
}

// until says a moment, or nothing for the zero time.
func until(t time.Time, language string, local func(time.Time) time.Time) string {
	if t.IsZero() {
		return ""
	}
	return clock(local(t), language)
}

// clock writes a moment in its zone: in English in words, else in the form that all languages read.
func clock(t time.Time, language string) string {
	if language == english {
		return t.Format("15:04:05 on 2 Jan 2006 (MST)")
	}
	return t.Format("2006-01-02 15:04:05 (MST)")
}
