package retraction

import (
	"context"
	"errors"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/clawback"
	"github.com/recall-milter/recall-milter/internal/fingerprint"
	"github.com/recall-milter/recall-milter/internal/mailbox"
	"github.com/recall-milter/recall-milter/internal/post"
)

// Reaches says whether there is a way into a recipient's mailbox.
func (x *Retractor) Reaches(recipient string) bool {
	return x.boxes != nil && x.boxes.Reaches(recipient)
}

// orderTime is how long an order may take to be written.
const orderTime = time.Hour

// claws is one attempt at a part of a claw back.
type claws struct {
	x     *Retractor
	job   *holdstore.Job
	part  *clawback.Part
	order clawback.Order
}

// clawBack does a part of an operator's claw back. An error means that some mailbox has to be tried again. The outcome
// of each mailbox is in the store as soon as it is known, and what is about to be done there before it is done.
func (x *Retractor) clawBack(ctx context.Context, j *holdstore.Job, p *clawback.Part) error {
	head, err := x.store.ClawBack(ctx, p.ID)
	switch missing := errors.Is(err, holdstore.ErrNotFound); {
	case missing && len(p.Numbers) == 0 && time.Since(j.Since) < orderTime: // it is not ordered yet
		return later(lookFirst)
	case missing: // it never was, or it is older than it is kept
		return nil
	case err == nil && len(p.Numbers) == 0:
		return clawback.Spread(ctx, x.store, head)
	}
	c := &claws{x: x, job: j, part: p}
	if err == nil {
		err = head.Read(&c.order)
	}
	if err != nil {
		return err
	}
	all, err := x.store.ClawMailboxes(ctx, p.ID, p.Numbers)
	if err != nil {
		return err
	}
	work, cancel := context.WithTimeout(ctx, jobTime)
	defer cancel()
	missing, again := false, error(nil)
	for n := range all {
		one, stop := share(work, len(all)-n)
		looked, err := c.mailbox(one, ctx, &all[n])
		stop()
		switch {
		case errors.Is(err, holdstore.ErrLost), errors.Is(err, holdstore.ErrUnavailable):
			return err
		case err != nil:
			again = err
		}
		missing = missing || looked
	}
	if again != nil || !missing || p.Looks >= lookMost {
		return again
	}
	again = later(lookFirst << (2 * p.Looks))
	p.Looks++
	if err := x.store.SaveJob(ctx, j, p); err != nil {
		return err
	}
	return again
}

// mailbox does what is ordered in one mailbox, unless that is done. missing says that the message may still be on its
// way there.
func (c *claws) mailbox(share, ctx context.Context, m *holdstore.ClawMailbox) (missing bool, err error) {
	var target clawback.Mailbox
	var before mailbox.Clawed
	var plan []mailbox.Copy
	done, err := m.Result(&before)
	_, wrong := m.Plan(&plan)
	if err := errors.Join(err, wrong, m.Target(&target)); err != nil {
		return false, err
	}
	came := target.Received
	if !target.Last.IsZero() {
		came = target.Last
	}
	young := c.order.Of == "" && !c.order.DryRun && c.job.Since.Sub(came) < lookUntil
	looks := done && before.Outcome == mailbox.NotFound && before.Detail == "" && young
	if done && !looks {
		return false, nil
	}
	stopped, err := c.stopped(ctx)
	switch {
	case err != nil:
		return false, err
	case stopped && done:
		return false, nil
	case stopped && plan == nil:
		return false, c.end(ctx, m.N, target, mailbox.Clawed{Outcome: mailbox.Refused,
			Detail: "the claw back was undone before its turn"}, false)
	}
	result, err := c.act(share, ctx, m.N, target, plan)
	switch {
	case err == nil:
	case errors.Is(err, holdstore.ErrLost), errors.Is(err, holdstore.ErrUnavailable), errors.Is(err, errNotItsTurn):
		return false, err
	case looks: // it was looked for, and is again
		return true, nil
	case time.Since(c.job.Since) < giveUpAfter:
		return false, err
	default:
		result = mailbox.Clawed{Outcome: mailbox.Refused, Detail: "the mailbox could not be reached"}
	}
	if result.Notice {
		err := c.x.post.Taken(ctx, post.Loss{Recipient: target.Recipient, MessageID: target.MessageID, From: target.Author,
			Received: target.Received})
		if err != nil {
			return false, err
		}
	}
	missing = result.Outcome == mailbox.NotFound && result.Detail == "" && young
	if looks && missing {
		return true, nil
	}
	return missing, c.end(ctx, m.N, target, result, looks)
}

// stopped says whether the claw back was undone meanwhile.
func (c *claws) stopped(ctx context.Context) (bool, error) {
	head, err := c.x.store.ClawBack(ctx, c.part.ID)
	if err != nil {
		return false, err
	}
	return head.Stopped && c.order.Of == "", nil
}

// act opens the mailbox.
func (c *claws) act(
	share, ctx context.Context, n int, t clawback.Mailbox, plan []mailbox.Copy,
) (r mailbox.Clawed, err error) {
	if c.x.boxes == nil {
		return mailbox.Clawed{Outcome: mailbox.Refused, Detail: "this gateway has no way into the mailbox"}, nil
	}
	claw := mailbox.Claw{Recipient: t.Recipient, MessageID: t.MessageID, Received: t.Received, Last: t.Last,
		Print: fingerprint.Print{Header: t.Header, Body: t.Body}, Folder: c.order.Folder, Delete: c.order.Delete,
		Changed: c.order.Changed, DryRun: c.order.DryRun, Asked: c.job.Since}
	note := func(copies []mailbox.Copy) error { return c.x.store.PlanClaw(ctx, c.part.ID, n, copies) }
	if c.order.Of != "" && plan == nil {
		plan = t.Copies
	}
	err = c.x.alone(ctx, t.Recipient, c.job.ID, func() (err error) {
		if c.order.Of == "" {
			r, err = c.x.boxes.ClawBack(share, claw, plan, note)
		} else {
			r, err = c.x.boxes.GiveBack(share, claw, plan, note)
		}
		return err
	})
	return r, err
}

// end writes what came of a mailbox.
func (c *claws) end(ctx context.Context, n int, t clawback.Mailbox, r mailbox.Clawed, again bool) error {
	words := clawback.Words(r.Outcome, c.order.DryRun)
	c.x.log.Retracted(t.MessageID, t.Recipient, c.part.ID, words, r.Detail)
	detail := t.Recipient + " " + t.MessageID + ": " + words
	if r.Detail != "" {
		detail += ", " + r.Detail
	}
	by := holdstore.Actor{By: c.order.By, From: c.order.From, Reason: c.order.Reason}
	return c.x.store.EndClaw(ctx, c.part.ID, n, r.Outcome, r, again, c.x.o.Keep,
		holdstore.Entry{Verb: c.order.Verb(), Detail: detail, Actor: by})
}
