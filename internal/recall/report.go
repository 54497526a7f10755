package recall

import (
	"strings"

	"github.com/recall-milter/recall-milter/internal/protocol"
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
	Rcpt      []outcome
	More      int      // recipients beyond maxTold
	Missing   []string // whom ONLY names, and who is no recipient
	Asked     string
	Why       string
	Held      []waiting
	From      string // address of who asks to recall
	AnswerBy  string // until when other gateways may answer; empty: none was asked
	Again     bool   // an earlier report has gone out
	Told      []told // recipients, as another gateway is told, or as it has told
	Address   string // where to send recall commands; empty: there is none
}

// told is what another gateway is told of a recipient.
type told struct{ Address, Words, Detail string }

// waiting is one held message in a list.
type waiting struct{ ID, Subject, To, Until string }

func (a *answer) letter(address string) letter {
	l := letter{Asked: sanitize.HeaderValue(a.asked), Why: sanitize.HeaderValue(a.why), Address: address, AnswerBy: until(a.answerBy)}
	if len(a.done) > 0 {
		h := a.done[0]
		l.Subject, l.MessageID, l.ID, l.HeldAt, l.Until = sanitize.HeaderValue(h.Subject), sanitize.HeaderValue(h.MessageID), h.ID, clock(h.HeldAt),
			clock(h.Due)
	}
	l.Rcpt = a.outcomes()
	if len(l.Rcpt) > maxTold {
		l.More, l.Rcpt = len(l.Rcpt)-maxTold, l.Rcpt[:maxTold]
	}
	for _, address := range a.missing()[:min(len(a.missing()), maxTold)] {
		l.Missing = append(l.Missing, sanitize.HeaderValue(address))
	}
	for n := range l.Rcpt {
		l.Rcpt[n].Address, l.Rcpt[n].Detail = sanitize.HeaderValue(l.Rcpt[n].Address), sanitize.HeaderValue(l.Rcpt[n].Detail)
	}
	for _, h := range a.held[:min(len(a.held), maxTold)] {
		var to []string
		for _, r := range h.Recipients[:min(len(h.Recipients), 3)] {
			to = append(to, sanitize.HeaderValue(r.Address))
		}
		if len(h.Recipients) > 3 {
			to = append(to, "...")
		}
		l.Held = append(l.Held, waiting{h.ID, sanitize.HeaderValue(h.Subject), strings.Join(to, ", "), clock(h.Due)})
	}
	return l
}

// status is what programs read; without recipients there is only what became of the command.
func (a *answer) status(m *Mail) *protocol.Status {
	s := &protocol.Status{RequestID: m.MessageID, MessageID: policy.BracketedID(a.asked)}
	if len(a.done) == 0 {
		result := protocol.StatusRefused
		if a.kind == "not-found" || a.kind == "help" {
			result = protocol.StatusNotFound
		}
		s.Recipients = []protocol.StatusOf{{Address: m.Sender.Address, Outcome: result,
			Diagnostic: strings.TrimSpace(a.kind + " " + a.why)}}
		return s
	}
	s.MessageID = a.done[0].MessageID
	for _, o := range a.outcomes() {
		s.Recipients = append(s.Recipients, protocol.StatusOf{Address: o.Address, Outcome: o.word(), Diagnostic: o.Words()})
	}
	return s
}
