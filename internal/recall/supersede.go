package recall

import (
	"context"
	"fmt"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/post"
	"github.com/recall-milter/recall-milter/policy"
)

// supersedes returns the Message-ID that a mail replaces (Supersedes, RFC 2156 section 5.3.8), "" when it does not.
func (d *Desk) supersedes(m *Mail) string {
	if !d.o.Supersedes {
		return ""
	}
	old := policy.MessageID(m.Field("Supersedes"))
	if old == m.MessageID {
		return ""
	}
	return old
}

// supersede finds what the mail replaces. The mail goes out whatever comes of it, also beyond the rate; what it
// replaces is taken back by the step that holds it, or here when it isn't held.
func (d *Desk) supersede(ctx context.Context, m *Mail, old string) (Disposition, error) {
	keep := Disposition{Keep: m.Recipients}
	refusal, err := d.limited(ctx, m)
	switch {
	case err != nil:
		return keep, err
	case refusal != "":
		return keep, d.beyondRate(ctx, m, old)
	}
	leave, err := d.enter(ctx, m, []string{old}, 0)
	if err != nil {
		return keep, err
	}
	defer leave()
	holds, err := d.resolve(ctx, m, old)
	if err != nil {
		return keep, err
	}
	var mine []*holdstore.Hold
	for _, h := range holds {
		if d.refuses(&m.Submission, h, d.rule(h.Rule)) == "" {
			mine = append(mine, h)
		}
	}
	if m.Holds && len(mine) > 0 {
		for _, h := range mine {
			keep.Replaces = append(keep.Replaces, h.ID)
		}
		m.replaced = mine
		return keep, nil
	}
	return keep, d.replaced(ctx, m, old, holds)
}

// beyondRate tells the sender that nothing was replaced: once in each span, since such a sender is mostly a program.
func (d *Desk) beyondRate(ctx context.Context, m *Mail, old string) error {
	if told, err := d.above(ctx, "told "+d.author(m), 1); told || err != nil {
		return err
	}
	why := fmt.Sprintf("%d recalls in %v are allowed, and this was one more. The new message goes out", d.o.Rate, d.o.Per)
	return d.answer(ctx, m, &answer{form: "supersedes", Answer: post.Answer{Kind: "refused", Asked: old, Why: why}})
}

// replaced takes back what is not yet, and answers.
func (d *Desk) replaced(ctx context.Context, m *Mail, old string, holds []*holdstore.Hold) error {
	a, err := d.recall(ctx, m, old, holds, nil, nil)
	if err != nil {
		return err
	}
	a.form = "supersedes"
	return d.answer(ctx, m, a)
}

// Held is told of each message that is held: its sender may have to know that, or what it has replaced.
func (d *Desk) Held(ctx context.Context, m *Mail, r holdstore.Committed) {
	var err error
	switch {
	case len(m.replaced) > 0:
		err = d.replaced(ctx, m, d.supersedes(m), m.replaced)
	case d.o.Notice == "always" && !r.Found && automatic(m) == "" && d.o.People.Has(&m.Submission):
		err = d.notice(ctx, &holdstore.Hold{ID: r.ID, HeldAt: r.HeldAt, Due: r.Due, Submission: m.Submission,
			Results: make([]holdstore.Result, len(m.Recipients))})
	}
	if err != nil {
		d.log.Trouble("hold "+r.ID+" is safe, but its sender could not be told of it", err)
	}
}

func (d *Desk) notice(ctx context.Context, h *holdstore.Hold) error {
	link := ""
	if d.o.Link != nil {
		link = d.o.Link(h)
	}
	return d.post.Notice(ctx, h, link)
}
