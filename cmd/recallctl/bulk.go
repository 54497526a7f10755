package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/recall-milter/recall-milter/holdstore"
)

// shownAfter is up to how many messages are shown after an act on a terminal; of more, their number says enough.
const shownAfter = 50

// tally is what became of the messages of an act.
type tally struct {
	*act
	ctx   context.Context // of what is read for the answer
	total int
	bar   *bar
	table lister

	done, already, partly, late, other, gone, unknown int

	tooLate []string         // of a recall
	shares  []string         // who still gets messages that were recalled for some
	refused map[string]error // by the state of the hold, which may be the one that was asked for
	wrong   error            // while the answer was read; the act goes on
	unasked error            // why the gateways of recipients could not be asked
}

func (a *act) newTally(ctx context.Context, total int) *tally {
	return &tally{act: a, ctx: context.WithoutCancel(ctx), total: total, table: lister{s: a.screen, store: a.store},
		refused: map[string]error{}}
}

// all acts on holds. What fails with one doesn't end the others, unless the store is away: then no more are begun.
func (a *act) all(ctx context.Context, ids []string) error {
	t := a.newTally(ctx, len(ids))
	t.bar = a.progress(len(ids))
	do := a.store.Bulk
	if len(a.only) > 0 {
		do = a.oneByOne
	}
	stopped := do(ctx, a.action(), ids, a.who(), t.told)
	t.bar.done()
	t.lookAgain(ids)
	if err := t.table.flush(); t.wrong == nil {
		t.wrong = err
	}
	for _, line := range t.shares {
		a.say("%s", line)
	}
	for _, id := range t.tooLate {
		a.failure(id, fmt.Errorf("not recalled: %w: it is on its way or sent%s", holdstore.ErrTooLate, t.askedLine(id)))
	}
	return t.verdict(stopped)
}

// askedLine has recipients' gateways asked, and is the end of a line about it. While the store is away no
// more are asked.
func (t *tally) askedLine(id string) string {
	if t.unasked != nil {
		return "; the gateways of its recipients were not asked"
	}
	said, err := t.ask(t.ctx, id, t.who())
	switch {
	case err != nil:
		if code(err) != exitUsage {
			t.unasked = err
		}
		return "; the gateways of its recipients could not be asked: " + err.Error()
	case said == "":
		return ""
	}
	return "; " + said + " (" + t.command("show "+id) + ")"
}

// oneByOne recalls for some of the recipients.
func (a *act) oneByOne(ctx context.Context, _ holdstore.Action, ids []string, by holdstore.Actor,
	told func([]holdstore.Acted)) error {
	for _, id := range ids {
		if err := ctx.Err(); err != nil {
			return err
		}
		_, err := a.store.RecallOnly(context.WithoutCancel(ctx), id, a.only, by)
		told([]holdstore.Acted{{ID: id, Err: err}})
		if errors.Is(err, holdstore.ErrUnavailable) {
			return err
		}
	}
	return nil
}

// told counts what became of a batch.
func (t *tally) told(batch []holdstore.Acted) {
	var changed []holdstore.Acted
	for _, acted := range batch {
		switch id, err := acted.ID, acted.Err; {
		case acted.Changed():
			t.done++
			changed = append(changed, acted)
		case errors.Is(err, holdstore.ErrTooLate) && t.name == "recall" && len(t.only) == 0:
			t.late++
			t.tooLate = append(t.tooLate, id)
		case errors.Is(err, holdstore.ErrTooLate), errors.Is(err, holdstore.ErrNotNow),
			errors.Is(err, holdstore.ErrNoKey), errors.Is(err, holdstore.ErrDamaged):
			t.refused[id] = err
		case errors.Is(err, holdstore.ErrNotFound):
			t.gone++
			t.notDone(id, err)
		default:
			t.unknown++
		}
	}
	t.bar.at(t.done + t.late + t.gone + len(t.refused))
	if err := t.show(changed); t.wrong == nil {
		t.wrong = err
	}
}

// show writes the holds of a batch to the mail log, and as they are after the act to a program; to people those that
// matter.
func (t *tally) show(batch []holdstore.Acted) error {
	everyone := t.json || t.total <= shownAfter
	var matter []string
	for _, acted := range batch {
		if len(t.only) == 0 {
			t.acted(acted.Named(), logVerb(t.name))
		}
		if everyone || len(t.only) > 0 || errors.Is(acted.Err, holdstore.ErrPartly) {
			matter = append(matter, acted.ID)
		}
	}
	if len(matter) == 0 {
		return nil
	}
	holds, err := t.store.GetSome(t.ctx, matter)
	for _, h := range holds {
		if len(t.only) > 0 {
			t.acted(h, logVerb(t.name))
		}
		if why := short(h, t.only); t.name == "recall" && why != "" {
			t.partly++
			t.failure(h.ID, errors.New(why+": see "+t.command("show "+h.ID)))
		}
		if everyone && len(t.only) > 0 && !t.json {
			t.shares = append(t.shares, h.ID+": "+t.sharesOf(h))
		}
		if everyone && err == nil {
			err = t.table.add(t.ctx, h)
		}
	}
	return err
}

// verdict is how the act ended.
func (t *tally) verdict(stopped error) error {
	if errors.Is(stopped, context.Canceled) {
		stopped = errors.New("interrupted")
	}
	failed := t.partly + t.late + t.other + t.gone
	inState := t.already > 0 && t.already == t.total
	switch {
	case stopped != nil && t.unknown > 0:
		return fmt.Errorf("%d of %s %s, then: %w; of %d more the answer never came; the same command goes on with the rest",
			t.done, count(t.total), past(t.name), stopped, t.unknown)
	case stopped != nil:
		return fmt.Errorf("%d of %s %s, then: %w; the same command goes on with the rest", t.done, count(t.total),
			past(t.name), stopped)
	case t.unasked != nil:
		return fmt.Errorf("too late for %d of %s, and the gateways of their recipients are not all asked: %w; the same "+
			"command goes on with the rest",
			t.late, count(t.total), t.unasked)
	case failed > 0:
		return &exit{exitTooLate,
			fmt.Sprintf("%d of %s could not be %s in full%s", failed, count(t.total), past(t.name), t.counts())}
	case inState && t.total > 1:
		t.say("%s %s already; nothing was changed", isOrAre(t.total), stateAfter[t.name])
	case t.total > 1 && t.already > 0:
		t.say("%s %s%s; %s %s already", past(t.name), count(t.done), t.forOnly(), isOrAre(t.already), stateAfter[t.name])
	case t.total > 1:
		t.say("%s %s%s", past(t.name), count(t.total), t.forOnly())
	}
	return t.wrong
}

// counts lists what became of several.
func (t *tally) counts() string {
	if t.total == 1 {
		return ""
	}
	words := []string{fmt.Sprintf("%d %s", t.done, past(t.name))}
	for _, c := range []struct {
		n    int
		what string
	}{{t.already, string(stateAfter[t.name]) + " already"}, {t.partly, "of them not for all recipients"},
		{t.late, "too late"}, {t.other, "in another state"}, {t.gone, "gone"}} {
		if c.n > 0 {
			words = append(words, fmt.Sprintf("%d %s", c.n, c.what))
		}
	}
	return ": " + strings.Join(words, ", ")
}
