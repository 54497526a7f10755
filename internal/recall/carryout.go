package recall

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/hint"
	"github.com/recall-milter/recall-milter/internal/post"
	"github.com/recall-milter/recall-milter/internal/recall/command"
)

// carryOut recalls what was found, then answers: each message that is meant has an answer of its own.
func (d *Desk) carryOut(ctx context.Context, r *request, all []found) (Disposition, error) {
	var answers []*answer
	for _, f := range all {
		a, err := d.recall(ctx, r, f)
		if err != nil {
			return Disposition{}, err
		}
		answers = append(answers, a)
	}
	if r.form == formOutlook { // whose copy was taken back gets no recall mail, the others get it as it is
		r.keep = answers[0].left(r.keep)
	}
	for _, a := range answers {
		if err := d.tell(ctx, r, a); err != nil {
			return Disposition{}, err
		}
	}
	return Disposition{Keep: r.keep}, nil
}

// recall takes back what was found of a message. The kind of its answer comes from what the store says then.
func (d *Desk) recall(ctx context.Context, r *request, f found) (*answer, error) {
	if f.instead != nil {
		a := &answer{Answer: *f.instead}
		if a.Kind != "help" {
			return a, nil
		}
		return a, d.help(ctx, r, &a.Answer)
	}
	by := r.by.actor
	by.Reason = "asked by mail: " + strings.Join(strings.Fields(string(r.target.Verb)+" "+r.target.For+" "+f.asked), " ")
	if r.target.Verb != command.Recall {
		return d.act(ctx, r, f, by)
	}
	a := &answer{Answer: post.Answer{Kind: "not-found", Asked: f.asked}}
	for _, h := range f.mine {
		after, err := d.takeBack(ctx, h, r.target.Only, by)
		if errors.Is(err, holdstore.ErrNotFound) { // forgotten meanwhile, or it has no such recipient
			continue
		}
		if err != nil {
			return nil, err
		}
		a.Done = append(a.Done, after)
	}
	switch {
	case len(a.Done) > 0:
		a.setKind(r.target.Only)
	case len(f.refused) > 0:
		a.Kind, a.Why = "refused", f.why
	case r.target.Only != nil && len(f.mine) > 0:
		a.Why = "it was not sent to " + strings.Join(r.target.Only, " or ")
	}
	if err := d.auditRefusal(ctx, f, by); err != nil {
		return nil, err
	}
	if !r.by.ours { // nobody would believe us in their name, and their own recall travels on
		return a, nil
	}
	return a, d.askGateways(ctx, a, by)
}

// setKind finds the kind of the answer (too-late, partly or recalled) from what the store says now. A kind is the name
// of a form of package post; what comes later is retraction's report. RecallFor can change it for the page and the API,
// which have words of their own in package web. recallctl (bulk.go, late.go) and the page's acts on many don't come
// here. What is still being sent counts as gone.
func (a *answer) setKind(only []string) {
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

// auditRefusal notes a refused command in one line, however many holds have the name that it gave.
func (d *Desk) auditRefusal(ctx context.Context, f found, by holdstore.Actor) error {
	for _, h := range f.refused {
		if err := h.Proven(); err != nil {
			d.log.Trouble("hold "+h.ID+" was asked for by mail, and nothing was done: see "+
				hint.Recallctl(d.o.Config, "show "+h.ID), err)
		}
	}
	if len(f.refused) == 0 {
		return nil
	}
	why := f.why
	if more := len(f.refused) - 1; more > 0 {
		why += fmt.Sprintf("; and %d more messages of that name", more)
	}
	return d.store.Audit(ctx, "recall refused", f.refused[0].ID, by, why)
}

// askGateways requests retraction from the recipients' gateways where it was too late to recall here, and notes until
// when they may answer. It asks only about a message that is released as a whole: of one that was recalled after some
// recipients had got it, these are never asked about.
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

// What is being sent is waited for, two seconds at most: after a 4xx of the MTA it can still be recalled, and else its
// outcome is known. If it is being sent even then, it is too late, and nobody is asked.
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
