package recall

import (
	"context"
	"strings"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/post"
)

// answer is what came of one command.
type answer struct{ post.Answer }

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

// left returns the recipients whose copy was not taken back.
func (a *answer) left(all []holdstore.Path) (some []holdstore.Path) {
	back := map[string]bool{}
	for _, o := range a.Outcomes() {
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

// answer tells the sender and the log.
func (d *Desk) answer(ctx context.Context, r *request, a *answer) error {
	m, id := r.mail, a.Asked
	switch {
	case len(a.Done) > 0:
		id = a.Done[0].ID
	case r.form == formOutlook: // a subject, which is for no log
		id = ""
	}
	if r.form == formOutlook {
		a.Asked = m.Text("Subject")
	}
	d.log.Commanded(m.Submission, r.form, a.Kind, strings.TrimSpace(id+" "+a.Why))
	if r.form != formAddress && !d.o.People.Has(&m.Submission) {
		return nil
	}
	if d.o.Reports == "never" || d.o.Reports == "failures" && a.Kind == "recalled" && len(a.Missing()) == 0 {
		return nil
	}
	thread := ""
	if r.form == formAddress { // whoever answers the report of another form must not recall that mail with it
		thread = m.MessageID
	}
	return d.post.Answer(ctx, &m.Submission, &a.Answer, thread)
}
