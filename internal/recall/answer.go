package recall

import (
	"context"
	"strings"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/post"
)

// answer is what came of one command.
type answer struct{ post.Answer }

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

// tell logs what came of a command, and answers its sender: a mail to the recall address always, another form only when
// it comes from our own people, and nobody where the site wants no such answer (recall.reports). The kind of the answer
// was set before.
func (d *Desk) tell(ctx context.Context, r *request, a *answer) error {
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
	if r.form != formAddress && !r.by.ours {
		return nil
	}
	if !d.post.Reports(a.Rule(), done[a.Kind] && len(a.Missing()) == 0) {
		return nil
	}
	thread := ""
	if r.form == formAddress { // whoever answers the report of another form must not recall that mail with it
		thread = m.MessageID
	}
	return d.post.Answer(ctx, &m.Submission, &a.Answer, thread)
}
