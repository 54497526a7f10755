package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/config"
)

// act is a verb that changes holds.
type act struct {
	*ctl
	name  string
	from  holdstore.State // by filter, only holds in this state
	check func() error    // of the verb's own flags
	do    func(ctx context.Context, id string, by holdstore.Act) (*holdstore.Hold, error)

	filter
	only        []string // recall: for these recipients; empty: for all
	reason      string
	yes, dryRun bool
}

func (c *ctl) recall() *cobra.Command {
	a := &act{name: "recall", from: holdstore.Held}
	a.do = func(ctx context.Context, id string, by holdstore.Act) (*holdstore.Hold, error) {
		if len(a.only) > 0 {
			return c.store.RecallOnly(ctx, id, a.only, by)
		}
		return c.store.Recall(ctx, id, by)
	}
	cmd := c.verb(a, "take messages back")
	cmd.Flags().StringSliceVar(&a.only, "only", nil, "only for this recipient's `address`, several times for several: the others still get it")
	return cmd
}

func (c *ctl) release() *cobra.Command {
	return c.verb(&act{name: "release", from: holdstore.Held,
		do: func(ctx context.Context, id string, by holdstore.Act) (*holdstore.Hold, error) {
			return c.store.Release(ctx, id, by)
		}}, "send messages now")
}

func (c *ctl) restore() *cobra.Command {
	return c.verb(&act{name: "restore", from: holdstore.Recalled,
		do: func(ctx context.Context, id string, by holdstore.Act) (*holdstore.Hold, error) {
			return c.store.Restore(ctx, id, by)
		}}, "undo recalls: the messages wait again, and leave when they are due")
}

func (c *ctl) extend() *cobra.Command {
	var text string
	var longer time.Duration
	a := &act{name: "extend", from: holdstore.Held}
	a.check = func() (err error) {
		if longer, err = config.ParseDuration(text); err != nil || longer == 0 {
			return usage("extend needs --for with how much longer, like --for 10m; %q is not that", text)
		}
		return nil
	}
	a.do = func(ctx context.Context, id string, by holdstore.Act) (*holdstore.Hold, error) {
		return c.store.Extend(ctx, id, longer, by)
	}
	cmd := c.verb(a, "let messages wait longer")
	cmd.Flags().StringVar(&text, "for", "", "how much longer, as a `duration`: 10m, 2h, 1d")
	return cmd
}

func (c *ctl) verb(a *act, short string) *cobra.Command {
	a.ctl = c
	cmd := &cobra.Command{Use: a.name + " [REF...]", Short: short, ValidArgsFunction: c.complete(a.from), RunE: c.onStore(a.run)}
	a.flags(cmd)
	cmd.Flags().StringVar(&a.reason, "reason", "", "why, as `text` for the audit trail")
	cmd.Flags().BoolVar(&a.yes, "yes", false, "do it to all that match, without asking")
	cmd.Flags().BoolVar(&a.dryRun, "dry-run", false, "only show to which messages")
	return cmd
}

func (a *act) run(ctx context.Context, refs []string) error {
	if a.check != nil {
		if err := a.check(); err != nil {
			return err
		}
	}
	holds, err := a.targets(ctx, refs, &a.filter, a.from)
	if err != nil {
		return err
	}
	if a.dryRun {
		a.holds(ctx, a.store, holds)
		a.say("would %s %s; nothing was changed", a.name, count(len(holds)))
		return nil
	}
	if len(refs) == 0 && len(holds) > 1 && !a.yes {
		if err := a.confirm(ctx, holds); err != nil {
			return err
		}
	}
	return a.each(ctx, holds)
}

// hands is how many holds are acted on at a time: the store syncs all their changes to its disk at once.
const hands = 16

// done is what became of one hold.
type done struct {
	hold *holdstore.Hold // after the act; nil: nothing was changed
	err  error
}

// each acts on all holds. What fails with one doesn't end the others, unless the store is away: then no more are begun.
func (a *act) each(ctx context.Context, holds []*holdstore.Hold) error {
	results, begun := a.all(ctx, holds)
	var after []*holdstore.Hold
	var stopped error
	failed := 0
	for n, r := range results[:begun] {
		id := holds[n].ID
		switch {
		case errors.Is(r.err, holdstore.ErrTooLate) && a.name == "recall":
			failed++
			a.failure(id, fmt.Errorf("not recalled: %w%s", r.err, a.askedLine(ctx, id)))
		case errors.Is(r.err, holdstore.ErrTooLate), errors.Is(r.err, holdstore.ErrNotNow), errors.Is(r.err, holdstore.ErrNotFound):
			failed++
			a.failure(id, fmt.Errorf("not %s: %w", past(a.name), r.err))
		case r.err != nil:
			stopped = r.err
		default:
			if why := short(r.hold, a.only); a.name == "recall" && why != "" {
				failed++
				a.failure(id, errors.New(why+": see recallctl show "+id))
			}
			after = append(after, r.hold)
		}
	}
	if stopped == nil && begun < len(holds) {
		stopped = ctx.Err()
	}
	a.holds(context.WithoutCancel(ctx), a.store, after)
	switch {
	case stopped != nil:
		return fmt.Errorf("%d of %s %s, then: %w; the same command goes on with the rest", len(after), count(len(holds)), past(a.name), stopped)
	case failed > 0:
		return &exit{exitTooLate, fmt.Sprintf("%d of %s could not be %s in full", failed, count(len(holds)), past(a.name))}
	case len(holds) > 1:
		a.say("%s %s", past(a.name), count(len(holds)))
	}
	return nil
}

// all acts with several hands, in order, and says how many holds were begun.
func (a *act) all(ctx context.Context, holds []*holdstore.Hold) (results []done, begun int) {
	results = make([]done, len(holds))
	by, bar := a.who(), a.progress(len(holds))
	defer bar.done()
	var next, broken atomic.Int64
	var wg sync.WaitGroup
	for range min(hands, len(holds)) {
		wg.Go(func() {
			for broken.Load() == 0 && ctx.Err() == nil {
				n := int(next.Add(1)) - 1
				if n >= len(holds) {
					return
				}
				results[n].hold, results[n].err = a.do(ctx, holds[n].ID, by)
				if errors.Is(results[n].err, holdstore.ErrUnavailable) {
					broken.Store(1)
				}
				bar.at(n)
			}
		})
	}
	wg.Wait()
	return results, min(int(next.Load()), len(holds))
}

// short says why a recall did less than was asked; "": nobody has the message.
func short(h *holdstore.Hold, only []string) (why string) {
	for n, r := range h.Results {
		asked := func(address string) bool { return strings.EqualFold(address, h.Recipients[n].Address) }
		switch {
		case len(only) > 0 && !slices.ContainsFunc(only, asked):
		case r.Outcome == holdstore.Sent:
			return "recalled for the recipients that were still pending; others have it already"
		case r.Outcome == holdstore.Unknown:
			why = "recalled, but " + r.Detail
		}
	}
	return why
}

func past(verb string) string {
	if verb == "release" || verb == "restore" {
		return verb + "d"
	}
	return verb + "ed"
}

func count(n int) string {
	if n == 1 {
		return "1 message"
	}
	return fmt.Sprintf("%d messages", n)
}

// who says who does it, for the timeline and the audit trail.
func (a *act) who() holdstore.Act {
	by := holdstore.Act{By: fmt.Sprintf("uid %d", os.Getuid()), Reason: a.reason}
	if u, err := user.Current(); err == nil {
		by.By = fmt.Sprintf("%s (uid %s)", u.Username, u.Uid)
	}
	if real := os.Getenv("SUDO_USER"); real != "" {
		by.By += " for " + real
	}
	host, _ := os.Hostname()
	by.From = host + " recallctl"
	return by
}
