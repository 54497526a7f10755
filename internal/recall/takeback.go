package recall

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/post"
	"github.com/recall-milter/recall-milter/internal/sender"
)

// recall takes back what the submitter may recall of holds, for some recipients or (nil) for all.
func (d *Desk) recall(ctx context.Context, m *Mail, asked string, holds []*holdstore.Hold, only []string,
	err error) (*answer, error) {
	if err != nil {
		return nil, err
	}
	a := &answer{Answer: post.Answer{Kind: "not-found", Asked: asked}}
	var refused []*holdstore.Hold
	for _, h := range holds {
		if why := d.refuses(&m.Submission, h, d.rule(h.Rule)); why != "" {
			if len(a.Done) == 0 {
				a.Kind, a.Why = "refused", why
			}
			if err := h.Proven(); err != nil {
				d.log.Trouble("hold "+h.ID+" was asked for by mail, and nothing was done: look with recallctl show "+h.ID, err)
			}
			refused = append(refused, h)
			continue
		}
		after, err := d.takeBack(ctx, h, only, act(m, asked))
		if errors.Is(err, holdstore.ErrNotFound) { // forgotten meanwhile, or it has no such recipient
			continue
		}
		if err != nil {
			return nil, err
		}
		a.Done = append(a.Done, after)
	}
	if err := d.auditRefusal(ctx, m, asked, refused); err != nil {
		return nil, err
	}
	if len(a.Done) == 0 {
		if a.Kind == "not-found" && only != nil && len(holds) > 0 {
			a.Why = "it was not sent to " + strings.Join(only, " or ")
		}
		return a, nil
	}
	a.judge(only)
	return a, d.ask(ctx, m, a)
}

// auditRefusal notes a refused command in one line, however many holds have the name that it gave.
func (d *Desk) auditRefusal(ctx context.Context, m *Mail, asked string, refused []*holdstore.Hold) error {
	if len(refused) == 0 {
		return nil
	}
	why := d.refuses(&m.Submission, refused[0], d.rule(refused[0].Rule))
	if more := len(refused) - 1; more > 0 {
		why += fmt.Sprintf("; and %d more messages of that name", more)
	}
	return d.store.Audit(ctx, "recall refused", refused[0].ID, act(m, asked), why)
}

// ask has the gateways asked of who got a message that could not be recalled here.
func (d *Desk) ask(ctx context.Context, m *Mail, a *answer) error {
	if !d.o.People.Has(&m.Submission) { // nobody would believe us in their name, and their own recall travels on
		return nil
	}
	return d.askGateways(ctx, a, act(m, a.Asked))
}

func (d *Desk) askGateways(ctx context.Context, a *answer, by holdstore.Actor) error {
	for n, h := range a.Done {
		if d.o.Late == nil || h.State != holdstore.Released {
			continue
		}
		after, until, err := d.o.Late.RequestRetraction(ctx, h.ID, a.Only, by)
		if errors.Is(err, holdstore.ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		if a.Done[n] = after; !until.IsZero() {
			a.AnswerBy = until
		}
	}
	return nil
}

// What is being sent is waited for: after a 4xx of the MTA it can still be recalled, and else its outcome is known.
const (
	sendingPause = 100 * time.Millisecond
	sendingTries = 20
)

// takeBack recalls one hold and returns it as it is then, whether that was in time or not.
func (d *Desk) takeBack(ctx context.Context, h *holdstore.Hold, only []string, by holdstore.Actor) (*holdstore.Hold,
	error) {
	for try := 1; ; try++ {
		var after *holdstore.Hold
		var err error
		if only == nil {
			after, err = d.store.Recall(ctx, h.ID, by)
		} else {
			after, err = d.store.RecallOnly(ctx, h.ID, only, by)
		}
		if err == nil {
			d.log.Acted(after, "recall", by, only...)
		}
		if !errors.Is(err, holdstore.ErrTooLate) && !errors.Is(err, holdstore.ErrNotNow) {
			return after, err
		}
		after, err = d.store.Get(ctx, h.ID)
		if err != nil || !open(after, only) || try == sendingTries {
			return after, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(sendingPause):
		}
	}
}

// open says whether the outcome for a recipient that is asked about can still change.
func open(h *holdstore.Hold, only []string) bool {
	a := &answer{Answer: post.Answer{Done: []*holdstore.Hold{h}, Only: only}}
	return slices.ContainsFunc(a.Outcomes(), func(o post.RecipientOutcome) bool { return o.Outcome == holdstore.Pending })
}

// act says in the audit trail who asked.
func act(m *Mail, asked string) holdstore.Actor {
	from := m.Client.Address
	if from == "" {
		from = "sendmail on the gateway"
	}
	return holdstore.Actor{By: sender.Name(m.Submission), From: "mail from " + from, Reason: "asked by mail: " + asked}
}
