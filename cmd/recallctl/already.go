package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/recall-milter/recall-milter/holdstore"
)

// stateAfter is how a message is after a verb. Asking for a state that is already there is success.
var stateAfter = map[string]holdstore.State{"recall": holdstore.Recalled, "release": holdstore.Released,
	"restore": holdstore.Held}

// alreadyMost is how many messages are counted that are already what was asked for: there may be records of millions.
const alreadyMost = 10_000

// allAlready says, where a filter matches nothing that an act could change, what matches and is already as it
// should be; false: nothing does.
func (a *act) allAlready(ctx context.Context) (bool, error) {
	wanted := stateAfter[a.name]
	if wanted == "" || len(a.only) > 0 {
		return false, nil
	}
	var first *holdstore.Hold
	n := 0
	table := lister{s: a.screen, store: a.store}
	err := a.find(ctx, &a.filter, true, func(h *holdstore.Hold) error {
		first = cmp.Or(first, h)
		if n++; n == alreadyMost {
			return errEnough
		}
		if a.json {
			return table.add(ctx, h)
		}
		return nil
	}, wanted)
	switch {
	case isNothing(err):
		return false, nil
	case err != nil:
		return false, err
	case n == 1:
		a.say("%s: %s", first.ID, since(first))
	case n == alreadyMost:
		a.say("%d messages and more are %s already; nothing was changed", n, wanted)
	default:
		a.say("%s %s already; nothing was changed", isOrAre(n), wanted)
	}
	if gone := a.left(ctx); gone != "" && wanted == holdstore.Recalled {
		a.say("%s", gone)
	}
	return true, table.flush()
}

// nothingBut is how an act ends whose filter matches nothing that it could change: it says what matches and has left.
func (a *act) nothingBut(ctx context.Context, nothing error) error {
	gone := a.left(ctx)
	if gone == "" {
		return nothing
	}
	waits := "waits"
	if a.from == holdstore.Recalled {
		waits = "is recalled"
	}
	return &exit{exitNothing, "nothing that " + waits + " matches; " + gone}
}

// left counts what matches the filter and has left, and says how it is listed; empty: nothing has.
func (a *act) left(ctx context.Context) string {
	n, _ := a.matching(ctx, holdstore.Releasing, holdstore.Released)
	list := a.command("list --state releasing,released" + a.words())
	switch n {
	case 0:
		return ""
	case 1:
		return "1 message has left: " + list
	case alreadyMost:
		return fmt.Sprintf("%d messages and more have left: %s", n, list)
	}
	return fmt.Sprintf("%d messages have left: %s", n, list)
}

// sayUnderWay says what matches the filter of a recall and is on its way: it was not among what waits, and waits again
// when nobody takes it.
func (a *act) sayUnderWay(ctx context.Context) {
	list := a.command("list --state releasing" + a.words())
	switch n, _ := a.matching(ctx, holdstore.Releasing); n {
	case 0:
	case 1:
		a.say("1 message that matches is on its way, and was not recalled: %s", list)
	case alreadyMost:
		a.say("%d messages and more that match are on their way, and were not recalled: %s", n, list)
	default:
		a.say("%d messages that match are on their way, and were not recalled: %s", n, list)
	}
}

// leased is how a release by sendmail ends while something that matches is under the lease of a daemon, which may have
// been killed: nobody else sends it until the lease ends, and then it waits again. nil: nothing is.
func (a *act) leased(ctx context.Context) error {
	n, err := a.matching(ctx, holdstore.Releasing)
	if n == 0 || err != nil {
		return err
	}
	return &exit{exitTooLate, fmt.Sprintf("%s not sent here: a daemon is sending, or was killed while it did: wait a "+
		"minute, and the same command sends what waits then; see %s", count(n),
		a.command("list --state releasing"+a.words()))}
}

// matching counts what matches the filter in some states, up to alreadyMost; 0 as well with an error.
func (a *act) matching(ctx context.Context, states ...holdstore.State) (n int, err error) {
	err = a.find(ctx, &a.filter, true, func(*holdstore.Hold) error {
		if n++; n == alreadyMost {
			return errEnough
		}
		return nil
	}, states...)
	if isNothing(err) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return n, nil
}

// lookAgain reads the holds to which nothing was done, and says why; of those that are already what was asked for,
// since when.
func (t *tally) lookAgain(ids []string) {
	var refused []string
	for _, id := range ids {
		if t.refused[id] != nil {
			refused = append(refused, id)
		}
	}
	for page := range slices.Chunk(refused, listPage) {
		holds, err := t.store.GetSome(t.ctx, page)
		t.wrong = cmp.Or(t.wrong, err)
		seen := map[string]*holdstore.Hold{}
		for _, h := range holds {
			seen[h.ID] = h
		}
		for _, id := range page {
			t.was(id, seen[id], t.refused[id])
		}
	}
}

// was counts one of them. A hold that is gone meanwhile is nil.
func (t *tally) was(id string, h *holdstore.Hold, err error) {
	wanted := stateAfter[t.name]
	switch {
	case h != nil && len(t.only) > 0 && takenOut(h, t.only):
		t.already++
		t.say("%s: already %s; nothing was changed", id, t.sharesOf(h))
		if t.json {
			t.wrong = cmp.Or(t.wrong, t.table.add(t.ctx, h))
		}
	case h != nil && h.State == wanted && len(t.only) == 0, h != nil && wanted == holdstore.Released &&
		h.State == holdstore.Releasing:
		t.already++
		if t.total <= shownAfter {
			t.say("%s: %s", id, since(h))
		}
		if t.json {
			t.wrong = cmp.Or(t.wrong, t.table.add(t.ctx, h))
		}
	case errors.Is(err, holdstore.ErrTooLate) && t.name == "recall":
		t.late++
		t.tooLate = append(t.tooLate, id)
	case errors.Is(err, holdstore.ErrTooLate):
		t.late++
		t.notDone(id, err)
	default:
		t.other++
		t.notDone(id, err)
	}
}

// notDone says why nothing was done to a hold.
func (t *tally) notDone(id string, err error) {
	why := holdstore.Reason(err)
	if errors.Is(err, holdstore.ErrDamaged) {
		why += ": " + t.command("fsck --repair") + " fixes what can be fixed"
	}
	not := "not "
	if t.dryRun {
		not = "would not be "
	}
	t.failure(id, fmt.Errorf("%s%s: %s", not, past(t.name), why))
}

// events are the lines of a timeline by which a hold came into a state.
var events = map[holdstore.State][]string{holdstore.Recalled: {"recalled"}, holdstore.Released: {"released"},
	holdstore.Held: {"held", "restored"}}

// since says in which state a hold is already, since when and by whom.
func since(h *holdstore.Hold) string {
	words := string(h.State) + " already"
	for _, e := range slices.Backward(h.Timeline) {
		if slices.Contains(events[h.State], e.Verb) {
			words += ", since " + local(e.At)
			if e.By != "" && h.State != holdstore.Held {
				words += " by " + e.By
			}
			break
		}
	}
	return words + "; nothing was changed"
}
