package recall

import (
	"context"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/post"
	"github.com/recall-milter/recall-milter/policy"
)

// outlook does Outlook's recall: those whose copy was taken back get no recall mail, the others get it as it is.
func (d *Desk) outlook(ctx context.Context, m *Mail, subjects []policy.Subject) (Ruling, error) {
	if refusal, err := d.limited(ctx, m); err != nil || refusal != "" {
		return Ruling{Refusal: refusal, Keep: m.Recipients}, err
	}
	keep := Ruling{Keep: m.Recipients}
	leave, err := d.enter(ctx, m, nil, latestLooked)
	if err != nil {
		return keep, err
	}
	defer leave()
	found, later, err := d.originals(ctx, m, subjects)
	if err != nil {
		return keep, err
	}
	a := &answer{Answer: post.Answer{Kind: "not-found"}}
	switch {
	case len(found) > 1:
		a.Kind = "ambiguous"
		for _, o := range found {
			a.Held = append(a.Held, o.holds...)
		}
	case len(found) == 1:
		if a, err = d.recall(ctx, m, "Outlook's recall", found[0].holds, addresses(m.Recipients), nil); err != nil {
			return keep, err
		}
		keep.Keep = a.left(m.Recipients)
	case len(inState(later, holdstore.Held)) > 0: // by their Date; clocks may be wrong
		a.Kind, a.Held = "ambiguous", inState(later, holdstore.Held)
	}
	a.form, a.Asked = "outlook", m.Text("Subject")
	return keep, d.answer(ctx, m, a)
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
