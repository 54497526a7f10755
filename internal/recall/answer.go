package recall

import (
	"context"
	"strings"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/protocol"
)

// answer is what came of one command.
type answer struct {
	form  string            // address, outlook, supersedes
	kind  string            // recalled, partly, too-late, refused, not-found, ambiguous, help: also the name of its text
	asked string            // what the sender named
	why   string            // of a refusal
	done  []*holdstore.Hold // after the recall
	held  []*holdstore.Hold // for help: what could be recalled
	only  []string

	answerBy time.Time // until when other gateways may answer; zero: none was asked
}

// outcomes lists the recipients that were asked about, with their results.
func (a *answer) outcomes() (all []outcome) {
	only := holdstore.NewAddresses(a.only)
	for _, d := range a.done {
		for n, r := range d.Recipients {
			if a.only == nil || only.Has(r.Address) {
				all = append(all, outcome{r.Address, d.Results[n]})
			}
		}
	}
	return all
}

// missing lists whom ONLY names, and who is no recipient.
func (a *answer) missing() (all []string) {
	got := holdstore.Addresses{}
	for _, h := range a.done {
		for _, r := range h.Recipients {
			got[holdstore.Fold(r.Address)] = true
		}
	}
	for _, address := range a.only {
		if !got.Has(address) {
			all = append(all, address)
		}
	}
	return all
}

// judge finds the kind from what the store says now.
func (a *answer) judge(only []string) {
	a.only = only
	back, gone := 0, 0
	for _, o := range a.outcomes() {
		switch o.Outcome {
		case holdstore.TakenBack:
			back++
		case holdstore.Failed:
		default: // pending after a recall: it is being sent
			gone++
		}
	}
	switch {
	case back == 0:
		a.kind = "too-late"
	case gone == 0:
		a.kind = "recalled"
	default:
		a.kind = "partly"
	}
}

// outcome is one recipient's line of a report.
type outcome struct {
	Address string
	holdstore.Result
}

// word is the outcome of a recall status.
func (o outcome) word() string {
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

// Words says what became of the recipient, for people.
func (o outcome) Words() string {
	switch o.Outcome {
	case holdstore.TakenBack:
		return "recalled, nothing was sent"
	case holdstore.Sent:
		return "sent " + clock(o.At) + ": " + o.Detail
	case holdstore.Requested:
		return "sent; its mail system was asked " + clock(o.At) + " to take it back"
	case holdstore.Unknown:
		if o.CutOff {
			return "perhaps sent: " + o.Detail
		}
		return "sent, and nothing is known: " + o.Detail
	case holdstore.Failed:
		return "not sent, it could not be delivered: " + o.Detail
	}
	if o.Outcome == holdstore.Pending {
		return "being sent at this moment"
	}
	return string(o.Outcome) + ": " + o.Detail
}

func clock(t time.Time) string { return t.Local().Format("15:04:05 on 2 Jan 2006 (MST)") }

// answer tells the sender and the log.
func (d *Desk) answer(ctx context.Context, m *Mail, a *answer) error {
	id := a.asked
	switch {
	case len(a.done) > 0:
		id = a.done[0].ID
	case a.form == "outlook": // a subject, which is for no log
		id = ""
	}
	d.log.Commanded(m.Submission, a.form, a.kind, strings.TrimSpace(id+" "+a.why))
	if a.form != "address" && !d.o.People.Has(&m.Submission) {
		return nil
	}
	if d.o.Reports == "never" || d.o.Reports == "failures" && a.kind == "recalled" && len(a.missing()) == 0 {
		return nil
	}
	thread := m.MessageID
	if a.form == "supersedes" || a.form == "outlook" { // whoever answers the report must not recall that mail with it
		thread = ""
	}
	return d.send(ctx, m, a.kind, a.letter(d.post.address), a.status(m), thread)
}
