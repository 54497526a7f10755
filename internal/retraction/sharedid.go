package retraction

import (
	"context"
	"slices"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/mark"
	"github.com/recall-milter/recall-milter/internal/sender"
)

// Other gateways know a message by its Message-ID and by From, and both are typed by a sender. A request for a copy
// would take back the message that it was copied from, in its author's name.

// speaksForOthers says why a request for a message would be made in somebody else's name; empty: it would not. shared:
// somebody else has used the Message-ID later.
func (x *Retractor) speaksForOthers(ctx context.Context, h *holdstore.Hold) (why string, shared bool, err error) {
	if !sender.Owns(&h.Submission) {
		return "the address in From is neither its envelope sender nor its login", false, nil
	}
	another := func(o *holdstore.Hold) bool {
		return holdstore.SameID(o.MessageID, h.MessageID) && !o.Own() &&
			sender.Name(o.Submission) != sender.Name(h.Submission)
	}
	before := func(o *holdstore.Hold) bool { return another(o) && !o.HeldAt.After(h.HeldAt) }
	holds, err := x.store.ResolveOwn(ctx, h.MessageID, before)
	if err != nil {
		return "", false, err
	}
	use, err := x.store.UnheldUse(ctx, h.MessageID, sender.Name(h.Submission), h.HeldAt, x.o.Keep)
	if err != nil {
		return "", false, err
	}
	if use.Before || slices.ContainsFunc(holds, before) {
		return "somebody else has sent a message with this Message-ID before", false, nil
	}
	return "", use.After || slices.ContainsFunc(holds, another), nil
}

// locked says whether a message left with a lock for a domain: it has one for so many only.
func (x *Retractor) locked(h *holdstore.Hold, domain string) bool {
	var domains []string
	for _, r := range h.Recipients {
		domains = append(domains, holdstore.DomainOf(r.Address))
	}
	return slices.Contains(mark.Locked(domains), domain)
}

// What was not held is remembered in batches, apart from the mail: no message waits for it.
const (
	maxUnheld   = 10_000 // that wait while the store is slow or away; what is more is forgotten
	unheldBatch = 200
	unheldPause = 200 * time.Millisecond // to gather a batch, and between tries while the store is away
	unheldTime  = 5 * time.Second        // for one write
)

// Unheld is told of outbound mail that is not held, so that nobody else's copy of it is taken for it. Never waits.
func (x *Retractor) Unheld(sub holdstore.Submission) {
	if !x.o.Ask || sub.MessageID == "" {
		return
	}
	select {
	case x.unheld <- holdstore.NewUnheld(sub.MessageID, sender.Name(sub), time.Now()):
	default:
	}
}

// RememberUnheld writes what Unheld was told, until ctx ends, and then what waits. While the store is away it tries
// again: what on_store_failure lets pass must be remembered too.
func (x *Retractor) RememberUnheld(ctx context.Context) {
	for {
		some := x.gatherUnheld(ctx)
		for len(some) > 0 {
			asked := time.Now()
			write, cancel := context.WithTimeout(context.WithoutCancel(ctx), unheldTime)
			err := x.store.RememberUnheld(write, some, x.o.Keep)
			cancel()
			x.remembering.Note(x.log, asked, err,
				"who sent mail that was not held is remembered when the store answers again",
				"who sent mail that was not held is remembered")
			if err == nil {
				break
			}
			if !pause(ctx) {
				return
			}
		}
		if ctx.Err() != nil && len(x.unheld) == 0 {
			return
		}
	}
}

// gatherUnheld waits for one, and takes along what comes within a moment; once ctx has ended, only what is there.
func (x *Retractor) gatherUnheld(ctx context.Context) (some []holdstore.Unheld) {
	select {
	case u := <-x.unheld:
		some = append(some, u)
	case <-ctx.Done():
	}
	pause(ctx)
	for len(some) < unheldBatch {
		select {
		case u := <-x.unheld:
			some = append(some, u)
		default:
			return some
		}
	}
	return some
}

// pause waits a moment; false: ctx has ended.
func pause(ctx context.Context) bool {
	t := time.NewTimer(unheldPause)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
