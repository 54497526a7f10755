package recall

import (
	"context"
	"errors"
	"fmt"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/post"
	"github.com/recall-milter/recall-milter/internal/recall/command"
)

// What a command can ask for besides a recall, with the same authority: who may take a message back may also send it,
// keep it for longer, and undo the recall.

// done are the kinds of answers that say that a message is as it was asked for.
var done = map[string]bool{"recalled": true, "released": true, "extended": true, "restored": true}

// act does what a command other than a recall asks for. The kind of its answer comes from what the store says then.
func (d *Desk) act(ctx context.Context, r *request, f found, by holdstore.Actor) (*answer, error) {
	a := &answer{Answer: post.Answer{Kind: "not-found", Act: true, Asked: f.asked}}
	for _, h := range f.mine {
		after, kind, why, err := d.actOn(ctx, r.target, h, by)
		if errors.Is(err, holdstore.ErrNotFound) { // forgotten meanwhile
			continue
		}
		if err != nil {
			return nil, err
		}
		if len(a.Done) == 0 || kind == "not-now" || kind == "refused" {
			a.Kind, a.Why = kind, why
		}
		a.Done = append(a.Done, after)
	}
	if len(a.Done) == 0 && len(f.refused) > 0 {
		a.Kind, a.Why = "refused", f.why
	}
	return a, d.auditRefusal(ctx, f, by)
}

// actOn does what is asked for to one hold, and returns it as it is then.
func (d *Desk) actOn(ctx context.Context, t command.Target, h *holdstore.Hold, by holdstore.Actor) (
	after *holdstore.Hold, kind, why string, err error) {
	verb := ""
	switch t.Verb {
	case command.SendNow:
		kind, verb = "released", "release-now"
		after, err = d.store.Release(ctx, h.ID, by)
	case command.Wait:
		kind, verb = "extended", "extend"
		longer, wrong := d.o.ParseDuration(t.For)
		if wrong != nil || longer <= 0 {
			return h, "not-now", wrongTime, nil
		}
		if most := max(d.o.MaxGrace, h.Grace); h.State == holdstore.Held && h.Due.Add(longer).After(h.HeldAt.Add(most)) {
			return h, "not-now", fmt.Sprintf("a message can wait for %v at most", most), nil
		}
		after, err = d.store.Extend(ctx, h.ID, longer, by)
	case command.Restore:
		kind, verb = "restored", "restore"
		if h.State == holdstore.Held { // it is what was asked for
			return h, kind, "", nil
		}
		after, err = d.store.Restore(ctx, h.ID, by)
	}
	if err == nil {
		d.log.Acted(after, verb, by)
		return after, kind, "", nil
	}
	return d.notDone(ctx, h.ID, t.Verb, err)
}

const wrongTime = "the time after WAIT can't be read. Write a time such as 10m or 2h"

// notDone says of an act that the store did not do how the hold is.
func (d *Desk) notDone(ctx context.Context, id string, verb command.Verb, cause error) (
	after *holdstore.Hold, kind, why string, err error) {
	if !holdstore.NotDone(cause) {
		return nil, "", "", cause
	}
	if after, err = d.store.Get(ctx, id); err != nil {
		return nil, "", "", err
	}
	switch {
	case errors.Is(cause, holdstore.ErrStopped):
		return after, "refused", holdstore.ErrStopped.Error(), nil
	case errors.Is(cause, holdstore.ErrTooLate) && verb == command.SendNow: // it is what was asked for
		return after, "released", "", nil
	}
	return after, "not-now", "", nil
}
