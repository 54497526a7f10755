package clawback

import (
	"context"
	"errors"
	"slices"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/mailbox"
)

// Undo stops a claw back, so that what it has not begun is left alone, and lists what it has moved. What it is just
// doing may be moved later: then it is among what another Undo lists.
func Undo(ctx context.Context, store Store, c *holdstore.ClawBack, by holdstore.Actor) ([]Mailbox, error) {
	if c.Left > 0 {
		e := holdstore.Entry{Verb: VerbStop, Actor: by, Detail: Count(c.Left, "mailbox", "mailboxes") + " left"}
		if err := store.StopClaw(ctx, c.ID, e); err != nil {
			return nil, err
		}
	}
	return Moved(ctx, store, c)
}

// Moved lists what a claw back has moved, without what an undo of it has brought back. Of a dry run that is nothing.
func Moved(ctx context.Context, store Store, c *holdstore.ClawBack) (all []Mailbox, err error) {
	undone, err := undone(ctx, store, c.ID)
	if err != nil {
		return nil, err
	}
	err = Outcomes(ctx, store, c, func(o Outcome) error {
		moved := func(c mailbox.Copy) bool { return c.Now != "" && !c.Stays && !c.Gone }
		same := func(m Mailbox) bool { return sameMail(m, o.Mailbox) }
		if o.Done && o.Result.Outcome == mailbox.Moved && slices.ContainsFunc(o.Result.Copies, moved) &&
			!slices.ContainsFunc(undone[o.Mailbox.Recipient], same) {
			m := o.Mailbox
			m.Copies = o.Result.Copies
			all = append(all, m)
		}
		return nil
	})
	return all, err
}

// undone lists what undos of a claw back have brought back, by recipient. An undo that can't be seen now does no harm:
// what it has moved back is not found again.
func undone(ctx context.Context, store Store, id string) (map[string][]Mailbox, error) {
	heads, err := store.ClawBacks(ctx, undosLooked)
	if err != nil && !errors.Is(err, holdstore.ErrPartial) {
		return nil, err
	}
	all := map[string][]Mailbox{}
	for _, h := range heads {
		var o Order
		if h.Read(&o) != nil || o.Of != id || o.DryRun {
			continue
		}
		err := Outcomes(ctx, store, h, func(one Outcome) error {
			if one.Done && one.Result.Outcome == mailbox.Returned {
				all[one.Mailbox.Recipient] = append(all[one.Mailbox.Recipient], one.Mailbox)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}

// undosLooked is how many claw backs are looked through for undos of one of them.
const undosLooked = 1000

func sameMail(a, b Mailbox) bool {
	return a.MessageID == b.MessageID && a.Header == b.Header && a.Body == b.Body && a.Author == b.Author
}
