package recall

import (
	"context"
	"strings"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/post"
)

// answer is what came of one command.
type answer struct {
	post.Answer
	form string // address, outlook, supersedes
}

// judge finds the kind from what the store says now.
func (a *answer) judge(only []string) {
	a.Only = only
	back, gone := 0, 0
	for _, o := range a.Outcomes() {
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
		a.Kind = "too-late"
	case gone == 0:
		a.Kind = "recalled"
	default:
		a.Kind = "partly"
	}
}

// answer tells the sender and the log.
func (d *Desk) answer(ctx context.Context, m *Mail, a *answer) error {
	id := a.Asked
	switch {
	case len(a.Done) > 0:
		id = a.Done[0].ID
	case a.form == "outlook": // a subject, which is for no log
		id = ""
	}
	d.log.Commanded(m.Submission, a.form, a.Kind, strings.TrimSpace(id+" "+a.Why))
	if a.form != "address" && !d.o.People.Has(&m.Submission) {
		return nil
	}
	if d.o.Reports == "never" || d.o.Reports == "failures" && a.Kind == "recalled" && len(a.Missing()) == 0 {
		return nil
	}
	thread := m.MessageID
	if a.form == "supersedes" || a.form == "outlook" { // whoever answers the report must not recall that mail with it
		thread = ""
	}
	return d.post.Answer(ctx, &m.Submission, &a.Answer, thread)
}
