package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/spf13/cobra"
)

func (c *ctl) root() *cobra.Command {
	root := &cobra.Command{Use: "recallctl", Short: "see, recall, release and restore held mail", Version: version,
		SilenceErrors: true, SilenceUsage: true, PersistentPreRunE: c.open}
	root.CompletionOptions.DisableDefaultCmd = true
	flags := root.PersistentFlags()
	flags.StringVarP(&c.file, "config", "c", "/etc/recall-milter/recall-milter.toml", "config file")
	flags.BoolVar(&c.json, "json", false, "one JSON object a line")
	flags.StringVar(&c.query.Sender, "sender", "", "envelope sender, an address or a glob")
	flags.StringVar(&c.query.Recipient, "recipient", "", "envelope recipient, an address or a glob")
	flags.StringVar(&c.query.Subject, "subject", "", "subject, a part or a glob")
	flags.StringVar(&c.query.Login, "login", "", "SASL login")
	flags.StringVar(&c.query.Client, "client", "", "client address or network")
	flags.DurationVar(&c.since, "since", 0, "held within this time")
	flags.BoolVar(&c.all, "all", false, "every message")
	flags.BoolVar(&c.yes, "yes", false, "do it to several messages without asking")
	flags.BoolVar(&c.dryRun, "dry-run", false, "only show what would be done to which messages")

	list := &cobra.Command{Use: "list", Short: "what is held, soonest due first", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.list(cmd.Context()) }}
	list.Flags().StringSliceVar(&c.states, "state", nil, "held, releasing, released, recalled")
	show := &cobra.Command{Use: "show REF", Short: "one message: envelope, headers, timeline, results", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return c.show(cmd.Context(), args[0]) }}
	export := &cobra.Command{Use: "export REF", Short: "the message as it would be sent", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return c.export(cmd.Context(), args[0]) }}
	stats := &cobra.Command{Use: "stats", Short: "counts by state", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.stats(cmd.Context()) }}
	watch := &cobra.Command{Use: "watch", Short: "live list, Ctrl-C ends it", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.watch(cmd.Context()) }}

	recall := c.verb("recall", "take messages back", holdstore.Held, func(ctx context.Context, id string) (*holdstore.Hold, error) {
		return c.store.Recall(ctx, id, c.act())
	})
	recall.Flags().StringVar(&c.reason, "reason", "", "for the audit trail")
	release := c.verb("release", "send messages now", holdstore.Held, func(ctx context.Context, id string) (*holdstore.Hold, error) {
		return c.store.Release(ctx, id, c.act())
	})
	restore := c.verb("restore", "undo recalls", holdstore.Recalled, func(ctx context.Context, id string) (*holdstore.Hold, error) {
		return c.store.Restore(ctx, id, c.act())
	})
	extend := c.verb("extend", "let messages wait longer", holdstore.Held, func(ctx context.Context, id string) (*holdstore.Hold, error) {
		if c.extendBy <= 0 {
			return nil, &exit{exitUsage, "extend needs --for with a time above 0, like --for 10m"}
		}
		return c.store.Extend(ctx, id, c.extendBy, c.act())
	})
	extend.Flags().DurationVar(&c.extendBy, "for", 0, "how much longer")
	root.AddCommand(list, show, export, stats, watch, recall, release, restore, extend)
	return root
}

type deed func(ctx context.Context, id string) (*holdstore.Hold, error)

// verb is a command that changes holds named by REFs or filters; by filter, only those in state from.
func (c *ctl) verb(name, short string, from holdstore.State, do deed) *cobra.Command {
	return &cobra.Command{Use: name + " [REF...]", Short: short, RunE: func(cmd *cobra.Command, refs []string) error {
		holds, err := c.targets(cmd.Context(), refs, from)
		if err != nil {
			return err
		}
		return c.each(cmd.Context(), name, holds, do)
	}}
}

// each does the deed to each hold; a failure with one does not end the others, unless the store is away.
func (c *ctl) each(ctx context.Context, name string, holds []*holdstore.Hold, do deed) error {
	failed := 0
	for _, h := range holds {
		if c.dryRun {
			fmt.Fprintf(c.stderr, "%s: would %s\n", h.ID, name)
			c.print(ctx, h)
			continue
		}
		after, err := do(ctx, h.ID)
		switch {
		case errors.Is(err, holdstore.ErrTooLate), errors.Is(err, holdstore.ErrNotNow), errors.Is(err, holdstore.ErrNotFound):
			failed++
			fmt.Fprintf(c.stderr, "%s: %s: %v\n", h.ID, name, err)
		case err != nil:
			return err
		default:
			failed += sentBefore(after, name)
			c.print(ctx, after)
		}
	}
	if failed > 0 {
		return &exit{exitTooLate, fmt.Sprintf("%d of %d could not be done in full", failed, len(holds))}
	}
	return nil
}

// sentBefore says whether a recall came too late for some of the recipients.
func sentBefore(h *holdstore.Hold, name string) int {
	for _, r := range h.Results {
		if name == "recall" && r.Outcome == holdstore.Sent {
			return 1
		}
	}
	return 0
}

// targets finds the holds that REFs or filters name.
func (c *ctl) targets(ctx context.Context, refs []string, from holdstore.State) ([]*holdstore.Hold, error) {
	if len(refs) == 1 && refs[0] == "-" {
		text, err := io.ReadAll(io.LimitReader(c.stdin, 64<<20))
		if err != nil {
			return nil, err
		}
		refs = strings.Fields(string(text))
	}
	if len(refs) > 0 {
		return c.resolveAll(ctx, refs)
	}
	if !c.all && !c.filtered() {
		return nil, &exit{exitUsage, "say which: a REF, a filter like --sender, or --all"}
	}
	holds, err := c.find(ctx, from)
	if err == nil && len(holds) == 0 {
		err = &exit{exitNothing, "nothing matched"}
	}
	if err == nil && len(holds) > 1 && !c.yes && !c.dryRun {
		err = &exit{exitUsage, fmt.Sprintf("%d messages match and nothing was changed: look with --dry-run, then add --yes", len(holds))}
	}
	return holds, err
}

func (c *ctl) filtered() bool {
	q := c.query
	return q.Sender+q.Recipient+q.Subject+q.Login+q.Client != "" || c.since > 0
}

// resolveAll finds the one hold of each REF; if any is unknown or ambiguous, nothing is changed.
func (c *ctl) resolveAll(ctx context.Context, refs []string) ([]*holdstore.Hold, error) {
	var all []*holdstore.Hold
	for _, ref := range refs {
		h, err := c.one(ctx, ref)
		if err != nil {
			return nil, err
		}
		all = append(all, h)
	}
	return all, nil
}

func (c *ctl) one(ctx context.Context, ref string) (*holdstore.Hold, error) {
	holds, err := c.store.Resolve(ctx, ref)
	switch {
	case err != nil:
		return nil, err
	case len(holds) == 0:
		return nil, &exit{exitNothing, fmt.Sprintf("%q is no hold ID, Message-ID or queue ID of a message here", ref)}
	case len(holds) > 1:
		for _, h := range holds {
			c.print(ctx, h)
		}
		return nil, &exit{exitUsage, fmt.Sprintf("%q names %d messages and nothing was changed: use the ID of one", ref, len(holds))}
	}
	return holds[0], nil
}

func (c *ctl) find(ctx context.Context, states ...holdstore.State) ([]*holdstore.Hold, error) {
	q := c.query
	q.States = states
	if c.since > 0 {
		q.Since = time.Now().Add(-c.since)
	}
	var all []*holdstore.Hold
	for h, err := range c.store.Find(ctx, q) {
		if err != nil {
			return nil, err
		}
		all = append(all, h)
	}
	return all, nil
}
