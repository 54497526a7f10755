package recall

import (
	"context"
	"strings"

	"github.com/recall-milter/recall-milter/holdstore"
)

// recallNamed finds what the command means and recalls it.
func (d *Desk) recallNamed(ctx context.Context, m *Mail) (*answer, error) {
	t := meaning(m)
	if t.named != "" {
		holds, err := d.resolve(ctx, m, t.named)
		return d.recall(ctx, m, t.named, holds, t.only, err)
	}
	for _, ref := range t.refs {
		if holds, err := d.resolve(ctx, m, ref); err != nil || len(holds) > 0 {
			return d.recall(ctx, m, ref, holds, t.only, err)
		}
	}
	mine, err := d.mine(ctx, m)
	switch {
	case err != nil:
		return nil, err
	case t.last && len(mine) > 1 && mine[0].HeldAt.Equal(mine[1].HeldAt):
		return &answer{kind: "ambiguous", asked: "LAST", held: mine[:2]}, nil
	case t.last && len(mine) > 0:
		return d.recall(ctx, m, "LAST", mine[:1], t.only, nil)
	case t.last:
		return &answer{kind: "not-found", asked: "LAST"}, nil
	case len(t.refs) > 0:
		return &answer{kind: "not-found", asked: t.refs[0]}, nil
	}
	return &answer{kind: "help", held: inState(mine, holdstore.Held)}, nil
}

// latestLooked is how many of a sender's newest messages are looked at.
const latestLooked = 200

// resolve finds holds by a REF, leaving out our own mails: those that the submitter may recall, and when there are none,
// others'. A queue ID that was used again means the newest.
func (d *Desk) resolve(ctx context.Context, m *Mail, ref string) ([]*holdstore.Hold, error) {
	found, err := d.store.ResolveOwn(ctx, ref, func(h *holdstore.Hold) bool {
		return h.Sender.Address != "" && refuses(&m.Submission, h, d.rule(h.Rule)) == ""
	})
	var holds []*holdstore.Hold
	for _, h := range found {
		if h.Sender.Address != "" {
			holds = append(holds, h)
		}
	}
	if len(holds) > 1 && !strings.Contains(ref, "@") {
		holds = holds[len(holds)-1:] // IDs sort by time
	}
	return holds, err
}

// mine lists what the submitter has sent, the newest first.
func (d *Desk) mine(ctx context.Context, m *Mail) ([]*holdstore.Hold, error) {
	return d.store.Latest(ctx, m.Login, m.Sender.Address, latestLooked, func(h *holdstore.Hold) bool {
		return sameSubmitter(&m.Submission, &h.Submission) && h.Sender.Address != ""
	})
}

func inState(holds []*holdstore.Hold, state holdstore.State) (some []*holdstore.Hold) {
	for _, h := range holds {
		if h.State == state {
			some = append(some, h)
		}
	}
	return some
}
