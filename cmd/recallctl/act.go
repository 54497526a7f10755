package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/config"
)

// act is a verb that changes holds.
type act struct {
	*ctl
	name   string
	from   holdstore.State // by filter, only holds in this state
	check  func() error    // of the verb's own flags
	action func() holdstore.Action

	filter
	only        []string // recall: for these recipients; empty: for all
	reason      string
	via         string // release: a program, in place of the daemon
	yes, dryRun bool

	by holdstore.Actor // who does it, when who has told it once
}

func (c *ctl) recall() *cobra.Command {
	a := &act{name: "recall", from: holdstore.Held, action: func() holdstore.Action { return c.store.Recalling() }}
	cmd := c.verb(a, "Take messages back")
	a.check = func() error {
		if cmd.Flags().Changed("only") && (len(a.only) == 0 || slices.Contains(a.only, "")) {
			return usage("--only is empty: name a recipient; nothing was changed")
		}
		return nil
	}
	cmd.Flags().StringSliceVar(&a.only, "only", nil,
		"only for this recipient's `address`, several times for several: the others still get it")
	return cmd
}

func (c *ctl) release() *cobra.Command {
	a := &act{name: "release", from: holdstore.Held, action: func() holdstore.Action { return c.store.Releasing() }}
	cmd := c.verb(a, "Send messages now")
	cmd.Long = `Make messages due now: the daemon sends them. With --via sendmail they are handed to sendmail(1) here,
without a daemon and also while releases are paused. A message is only handed over whole, and stays held when that
fails, as when its seal key is missing. Take the milter out of Postfix before: recallctl setup --bypass --reload.

Exit codes: 0 done, or it was sent before; 1 nothing matched; 2 some were recalled, or could not be sent: each is
named; or, with --via and a filter, a daemon has some under way, or was killed while it had; 64 wrong command, nothing
was changed; 69 the store is away: the same command goes on.`
	cmd.Example = `  recallctl release 32VWE3H4VYYPX
  recallctl release --all --yes --via sendmail --reason uninstall`
	cmd.Flags().StringVar(&a.via, "via", "",
		"hand the messages to `PROGRAM` here, without a daemon; only sendmail is possible")
	a.check = func() error {
		if a.via != "" && a.via != viaSendmail {
			return usage("--via %q is not possible: only --via sendmail is", a.via)
		}
		return nil
	}
	return cmd
}

func (c *ctl) restore() *cobra.Command {
	return c.verb(&act{name: "restore", from: holdstore.Recalled,
		action: func() holdstore.Action { return c.store.Restoring() }},
		"Undo recalls: the messages wait again, and leave when they are due")
}

func (c *ctl) extend() *cobra.Command {
	var text string
	var longer time.Duration
	a := &act{name: "extend", from: holdstore.Held}
	a.check = func() (err error) {
		if longer, err = config.ParseDuration(text); err != nil || longer == 0 {
			return usage("extend needs --for with how much longer, like --for 10m%s", isNot(text, "that"))
		}
		return nil
	}
	a.action = func() holdstore.Action { return c.store.Extending(longer) }
	cmd := c.verb(a, "Hold messages for longer")
	cmd.Flags().StringVar(&text, "for", "", "how much longer, as a `duration`: 10m, 2h, 1d")
	return cmd
}

func (c *ctl) verb(a *act, short string) *cobra.Command {
	a.ctl = c
	cmd := &cobra.Command{Use: a.name + " [REF...]", Short: short, ValidArgsFunction: c.complete(a.from),
		RunE: c.onStore(a.run)}
	a.flags(cmd)
	cmd.Flags().StringVar(&a.reason, "reason", "", "why, as `text` for the audit trail")
	cmd.Flags().BoolVar(&a.yes, "yes", false,
		"do it to all that match, without asking; also to all that have the same Message-ID")
	cmd.Flags().BoolVar(&a.dryRun, "dry-run", false, "only say what it would do, and to which messages")
	return cmd
}

func (a *act) run(ctx context.Context, refs []string) error {
	if a.check != nil {
		if err := a.check(); err != nil {
			return err
		}
	}
	a.sure = a.yes
	if a.via != "" { // what a daemon had begun before it was killed is held again
		if _, err := a.store.Reap(ctx); err != nil {
			return err
		}
	}
	ids, err := a.chosen(ctx, refs, &a.filter, a.from)
	if isNothing(err) && len(refs) == 0 {
		if a.via != "" && !a.dryRun {
			if leased := a.leased(ctx); leased != nil {
				return leased
			}
		}
		if done, wrong := a.allAlready(ctx); done || wrong != nil {
			return wrong
		}
		return a.nothingBut(ctx, err)
	}
	if isNothing(err) && len(refs) > 1 {
		return &exit{exitNothing, err.Error() + "; nothing was changed"}
	}
	if err != nil {
		return err
	}
	if a.dryRun {
		return a.wouldBe(ctx, refs, ids)
	}
	if len(refs) == 0 && len(ids) > 1 && !a.yes {
		if err := a.confirm(ctx, len(ids), a.from); err != nil {
			return err
		}
	}
	if a.via != "" {
		if err := a.bySendmail(ctx, ids); err != nil || len(refs) > 0 {
			return err
		}
		return a.leased(ctx)
	}
	err = a.all(ctx, ids)
	if a.name == "recall" && len(refs) == 0 && !errors.Is(err, holdstore.ErrUnavailable) {
		a.sayUnderWay(ctx)
	}
	if err == nil && a.name == "release" {
		return a.sayPaused(ctx)
	}
	return err
}

// person names a user, and for root the user behind sudo.
func person(uid int, sudo string) string {
	name := fmt.Sprintf("uid %d", uid)
	if u, err := user.LookupId(fmt.Sprint(uid)); err == nil {
		name = fmt.Sprintf("%s (uid %d)", u.Username, uid)
	}
	if uid == 0 && sudo != "" {
		name += " for " + sudo
	}
	return name
}

// some calls do with those of the holds that are still there, a page at a time.
func (c *ctl) some(ctx context.Context, ids []string, do func(*holdstore.Hold) error) error {
	for page := range slices.Chunk(ids, listPage) {
		holds, err := c.store.GetSome(ctx, page)
		for _, h := range holds {
			err = cmp.Or(err, do(h))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// short says why a recall did less than was asked; "": nobody whom it was for has the message.
func short(h *holdstore.Hold, only []string) (why string) {
	for n, r := range h.Results {
		asked := func(address string) bool { return holdstore.Same(address, h.Recipients[n].Address) }
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

// who says who does it, for the timeline and the audit trail. SUDO_USER is believed only from root: everybody else can
// set it to any name.
func (a *act) who() holdstore.Actor {
	if a.by.By == "" {
		host, _ := os.Hostname()
		a.by = holdstore.Actor{By: person(os.Getuid(), os.Getenv("SUDO_USER")), Reason: a.reason, Operator: true,
			From: host + " recallctl"}
	}
	return a.by
}
