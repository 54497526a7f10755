package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/config"
	"github.com/recall-milter/recall-milter/policy"
)

const (
	drainLook = 250 * time.Millisecond // between two looks at what still waits
	drainTime = 10 * time.Minute       // without --timeout
	drainPage = 500                    // holds that are read at a time
)

func (c *ctl) drain() *cobra.Command {
	var text string
	a := &act{ctl: c, name: "drain"}
	cmd := &cobra.Command{Use: "drain", Args: noArgument}
	cmd.Flags().StringVar(&a.reason, "reason", "", "why, as `text` for the audit trail")
	cmd.Flags().BoolVar(&a.yes, "yes", false, "do it without asking")
	cmd.Flags().BoolVar(&a.dryRun, "dry-run", false, "only show what would be sent")
	cmd.Flags().StringVar(&text, "timeout", policy.Short(drainTime), "how long to wait, as a `duration`")
	cmd.RunE = c.onStore(func(ctx context.Context, _ []string) error {
		within, err := config.ParseDuration(text)
		if err != nil {
			return usage("--timeout: %v", err)
		}
		return a.drainAll(ctx, within)
	})
	return cmd
}

// drainAll makes due what waits at this moment, and waits for it. What comes in meanwhile waits its own grace.
func (a *act) drainAll(ctx context.Context, within time.Duration) error {
	if words, _, err := a.paused(ctx); err != nil || words != "" {
		if err == nil {
			err = usage("releases are paused %s: first type %s; nothing was changed", words, a.command("resume"))
		}
		return err
	}
	ids, err := a.store.WaitingIDs(ctx)
	if err := a.part(err); err != nil {
		return err
	}
	if len(ids) == 0 {
		a.say("nothing waits")
		return nil
	}
	if a.dryRun || !a.yes {
		if err := a.preview(ctx, len(ids)); err != nil || a.dryRun {
			return err
		}
	}
	bar := a.progress(2 * len(ids)) // they are made due, and they leave
	defer bar.done()
	looked := 0
	told := func(some []holdstore.Acted) { // what isn't held any more is on its way, or recalled
		looked += len(some)
		bar.at(looked)
		for _, acted := range some {
			if acted.Changed() {
				a.acted(acted.Named(), logVerb("drain"))
			}
		}
	}
	if err := a.store.Bulk(ctx, a.store.Draining(), ids, a.who(), told); err != nil {
		return fmt.Errorf("some of %s may not be due yet: %w; the same command goes on with the rest", count(len(ids)), err)
	}
	left, err := a.leave(ctx, ids, within, bar)
	bar.done()
	if err != nil {
		return fmt.Errorf("%d of %s had not left: %w; they are due, and the same command goes on waiting", len(left),
			count(len(ids)), err)
	}
	return a.drained(ctx, ids, left, within)
}

// preview shows what a drain would send, and asks unless it is a dry run.
func (a *act) preview(ctx context.Context, n int) error {
	if !a.dryRun {
		return a.confirm(ctx, n, waiting...)
	}
	if err := a.listed(ctx, &a.filter, 0, waiting...); err != nil {
		return err
	}
	a.say("would send %s; nothing was changed", count(n))
	return nil
}

// leave waits until none of the holds waits any more, and returns those that still do when the time is over.
func (a *act) leave(ctx context.Context, ids []string, within time.Duration, bar *bar) (left []string, err error) {
	left = slices.Clone(ids)
	for end := time.Now().Add(within); ; {
		states, err := a.store.States(ctx, left)
		if err != nil {
			return left, err
		}
		still := left[:0]
		for n, id := range left {
			if states[n] == holdstore.Held || states[n] == holdstore.Releasing {
				still = append(still, id)
			}
		}
		left = still
		bar.at(2*len(ids) - len(left))
		if len(left) == 0 || time.Now().After(end) {
			return left, nil
		}
		select {
		case <-ctx.Done():
			return left, ctx.Err()
		case <-time.After(drainLook):
		}
	}
}

// drained says what became of the holds: each that still waits or was refused on a line of its own.
func (a *act) drained(ctx context.Context, ids, left []string, within time.Duration) error {
	waits := map[string]bool{}
	for _, id := range left {
		waits[id] = true
	}
	sent, refused, recalled := 0, 0, 0
	for page := range slices.Chunk(ids, drainPage) {
		holds, err := a.store.GetSome(ctx, page)
		if err != nil {
			return err
		}
		for _, h := range holds {
			switch failed := failures(h); {
			case waits[h.ID]:
				a.failure(h.ID, fmt.Errorf("not sent yet%s", lastWords(h)))
			case h.State == holdstore.Recalled:
				recalled++
			case failed != "":
				refused++
				a.failure(h.ID, fmt.Errorf("refused for %s; its sender was told", failed))
			default:
				sent++
			}
		}
	}
	words := fmt.Sprintf("%d of %s sent", sent, count(len(ids)))
	if recalled > 0 {
		words += fmt.Sprintf(", %d recalled meanwhile", recalled)
	}
	switch {
	case len(left) > 0:
		return &exit{exitTooLate,
			fmt.Sprintf("%s; %d still wait after %v and are tried again: is a daemon running, and its re-injection port open?",
				words, len(left), within)}
	case refused > 0:
		return &exit{exitTooLate, fmt.Sprintf("%s, %d refused; nothing waits any more", words, refused)}
	}
	a.say("%s; nothing of it waits any more", words)
	return nil
}

// failures lists the recipients that were refused for good.
func failures(h *holdstore.Hold) (list string) {
	for n, r := range h.Results {
		if r.Outcome != holdstore.Failed {
			continue
		}
		if list != "" {
			list += ", "
		}
		list += h.Recipients[n].Address + " (" + r.Detail + ")"
	}
	return list
}

// lastWords says why the first recipient that waits was not sent.
func lastWords(h *holdstore.Hold) string {
	for _, r := range h.Results {
		if r.Outcome == holdstore.Pending && r.Detail != "" {
			return ": " + r.Detail
		}
	}
	return ""
}
