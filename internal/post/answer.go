package post

import (
	"strings"
	"sync"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/protocol"
	"github.com/recall-milter/recall-milter/internal/words"
	"github.com/recall-milter/recall-milter/policy"
)

// Answer is what came of one command.
type Answer struct {
	// recalled, partly, too-late, refused, not-found, ambiguous, help, released, extended, restored, not-now: also the
	// name of its text
	Kind     string
	Act      bool              // something else than a recall was asked for
	Asked    string            // what the sender named
	Why      string            // of what was not done; in English, inside a sentence of the sender's language
	Done     []*holdstore.Hold // after the recall
	Held     []*holdstore.Hold // for help: what could be recalled
	Only     []string          // for whom; nil: for all recipients
	AnswerBy time.Time         // until when other gateways may answer; zero: none was asked
}

// Outcomes lists the recipients that were asked about, with their results.
func (a *Answer) Outcomes() (all []RecipientOutcome) {
	only := holdstore.NewAddresses(a.Only)
	for _, d := range a.Done {
		for n, r := range d.Recipients {
			if a.Only == nil || only.Has(r.Address) {
				all = append(all, RecipientOutcome{r.Address, d.Results[n]})
			}
		}
	}
	return all
}

// Rule is that of the message that was asked for; "": none was found.
func (a *Answer) Rule() string {
	if len(a.Done) == 0 {
		return ""
	}
	return a.Done[0].Rule
}

// Missing lists addresses that ONLY names and that did not get the message.
func (a *Answer) Missing() (all []string) {
	got := holdstore.Addresses{}
	for _, h := range a.Done {
		for _, r := range h.Recipients {
			got[holdstore.Fold(r.Address)] = true
		}
	}
	for _, address := range a.Only {
		if !got.Has(address) {
			all = append(all, address)
		}
	}
	return all
}

// RecipientOutcome is one recipient's line of a report.
type RecipientOutcome struct {
	Address string
	holdstore.Result
}

// notAsked says whether the recipient got the message, or might have, and no gateway was asked to take it back.
func (o RecipientOutcome) notAsked() bool {
	return o.Outcome == holdstore.Sent || o.Outcome == holdstore.Pending || o.CutOff
}

// word is the outcome of a recall status.
func (o RecipientOutcome) word() string {
	switch o.Outcome {
	case holdstore.TakenBack:
		return protocol.StatusRecalled
	case holdstore.Retracted:
		return protocol.StatusRetracted
	case holdstore.AlreadyRead:
		return protocol.StatusRead
	case holdstore.Unknown:
		return protocol.StatusNotFound
	}
	return protocol.StatusRefused
}

// Words says in English what became of the recipient: for programs' diagnostics, and for a site's own texts.
func (o RecipientOutcome) Words() string {
	return o.in(english, func(key string, with ...any) string { return englishWords().Say(english, key, with...) })
}

// englishWords are ours, whatever a site writes.
var englishWords = sync.OnceValue(words.English)

// in says in a language what became of the recipient, for people.
func (o RecipientOutcome) in(language string, say func(key string, with ...any) string) string {
	switch o.Outcome {
	case holdstore.TakenBack:
		return say("outcome-recalled")
	case holdstore.Sent:
		return say("outcome-sent", clock(o.At, language), o.Detail)
	case holdstore.Requested:
		return say("outcome-requested", clock(o.At, language))
	case holdstore.Unknown:
		if o.CutOff {
			return say("outcome-perhaps", o.Detail)
		}
		return say("outcome-unknown", o.Detail)
	case holdstore.Pending:
		return say("outcome-pending")
	}
	return say("outcome-"+strings.ReplaceAll(string(o.Outcome), " ", "-"), o.Detail)
}

// status is what programs read; without recipients there is only what became of the command.
func (a *Answer) status(to *holdstore.Submission) *protocol.Status {
	s := &protocol.Status{RequestID: to.MessageID, MessageID: policy.BracketedID(a.Asked)}
	if len(a.Done) == 0 {
		result := protocol.StatusRefused
		if a.Kind == "not-found" || a.Kind == "help" {
			result = protocol.StatusNotFound
		}
		s.Recipients = []protocol.StatusOf{{Address: to.Sender.Address, Outcome: result,
			Diagnostic: strings.TrimSpace(a.Kind + " " + a.Why)}}
		return s
	}
	s.MessageID = a.Done[0].MessageID
	for _, o := range a.Outcomes() {
		s.Recipients = append(s.Recipients, protocol.StatusOf{Address: o.Address, Outcome: o.word(), Diagnostic: o.Words()})
	}
	return s
}
