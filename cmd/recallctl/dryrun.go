package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/wiring"
)

// wouldBe shows to which messages the act would be done, and what it would say of the others. It ends as the act would,
// as far as that is known before.
func (a *act) wouldBe(ctx context.Context, refs, ids []string) error {
	t := a.newTally(ctx, len(ids))
	look := func(h *holdstore.Hold) error { return t.foresee(h) }
	var err error
	if len(refs) == 0 {
		err = a.find(ctx, &a.filter, false, look, a.from)
	} else {
		err = a.some(ctx, ids, look)
	}
	if err := cmp.Or(err, t.table.flush()); err != nil {
		return err
	}
	for _, line := range t.shares {
		a.say("%s", line)
	}
	return t.foreseen()
}

// foresee counts what would become of one message.
func (t *tally) foresee(h *holdstore.Hold) error {
	switch err := t.would(h); {
	case errors.Is(err, holdstore.ErrPartly):
		t.partly++
		t.failure(h.ID, errors.New("would be recalled for the recipients that are still pending; others have it already"))
	case errors.Is(err, holdstore.ErrTooLate) && t.name == "recall" && !takenOut(h, t.only):
		t.late++
		t.failure(h.ID, fmt.Errorf("would not be recalled: %w: it is on its way or sent; %s", holdstore.ErrTooLate,
			t.wouldAsk(h)))
		return nil
	case errors.Is(err, holdstore.ErrNotFound):
		t.gone++
		t.notDone(h.ID, err)
		return nil
	case err != nil && t.via != "":
		t.other++
		t.notDone(h.ID, err)
		return nil
	case err != nil:
		t.was(h.ID, h, err)
		return t.wrong
	}
	t.done++
	if len(t.only) > 0 && !t.json && t.total <= shownAfter {
		t.shares = append(t.shares, h.ID+": would be "+t.sharesOf(h))
	}
	return t.table.add(t.ctx, h)
}

// would is how the act would end for one message.
func (a *act) would(h *holdstore.Hold) error {
	if len(a.only) > 0 {
		return holdstore.WouldRecallOnly(h, a.only)
	}
	return a.action().Would(h)
}

// wouldAsk says of a message that has left whose mail systems would be asked to take it back.
func (t *tally) wouldAsk(h *holdstore.Hold) string {
	var only []string
	if len(t.only) > 0 {
		only = t.only
	}
	x, err := wiring.Retractor(t.config, nil, t.store, nil, nil)
	if t.ignores("recall") || t.ignores("release") {
		err = errors.New("the config has an error")
	}
	var domains []string
	why := ""
	if err == nil {
		domains, why, err = x.WouldAsk(t.ctx, h, only)
	}
	switch {
	case err != nil:
		return "whether its recipients' mail systems can be asked is not known: " + err.Error()
	case why != "":
		return "nobody would be asked to take it back: " + why
	}
	return "these mail systems would be asked to take it back: " + strings.Join(domains, ", ")
}

// foreseen is how the act would end.
func (t *tally) foreseen() error {
	if failed := t.partly + t.late + t.other + t.gone; failed > 0 {
		return &exit{exitTooLate, fmt.Sprintf("%d of %s could not be %s in full%s; nothing was changed", failed,
			count(t.total), past(t.name), t.counts())}
	}
	switch {
	case t.already == 1 && t.total == 1: // its line says it
	case t.already > 0 && t.done == 0:
		t.say("%s %s already; nothing was changed", isOrAre(t.already), stateAfter[t.name])
	case t.already > 0:
		t.say("would %s %s; %s %s already; nothing was changed", t.name, count(t.done), isOrAre(t.already),
			stateAfter[t.name])
	default:
		t.say("would %s %s; nothing was changed", t.name, count(t.done))
	}
	return t.wrong
}
