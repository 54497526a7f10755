package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/sanitize"
)

// auditLine is one line of the audit trail in JSON.
type auditLine struct {
	At     time.Time `json:"at"`
	Verb   string    `json:"verb"`
	ID     string    `json:"id"`
	By     string    `json:"by"`
	From   string    `json:"from"`
	Reason string    `json:"reason"`
	Detail string    `json:"detail"`
}

// log is the verb of the audit trail.
func (c *ctl) log() *cobra.Command {
	var since, until string
	var follow bool
	cmd := &cobra.Command{Use: "log [REF...]", ValidArgsFunction: c.complete(anyStates...)}
	cmd.Flags().StringVar(&since, "since", "", "from this `time` on: 90m or 5d ago, 09:30, 2026-05-01")
	cmd.Flags().StringVar(&until, "until", "", "up to this `time`")
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "wait for more; Ctrl-C ends it")
	cmd.RunE = c.onStore(func(ctx context.Context, refs []string) error {
		now := time.Now()
		from, err := moment("since", since, now)
		if err != nil {
			return err
		}
		to, err := moment("until", until, now)
		if err != nil {
			return err
		}
		ids, err := c.ids(ctx, refs)
		if err != nil {
			return err
		}
		return c.trail(ctx, from, to, ids, follow)
	})
	return cmd
}

// ids returns the hold IDs of REFs; nil: all.
func (c *ctl) ids(ctx context.Context, refs []string) (map[string]bool, error) {
	if len(refs) == 0 {
		return nil, nil
	}
	c.onlyREFs = true
	holds, err := c.named(ctx, refs)
	ids := map[string]bool{}
	for _, h := range holds {
		ids[h.ID] = true
	}
	return ids, err
}

func (c *ctl) trail(ctx context.Context, from, to time.Time, ids map[string]bool, follow bool) error {
	found := false
	for e, err := range c.store.Log(ctx, from, follow) {
		if follow && errors.Is(err, holdstore.ErrPartial) {
			c.say("there may be more: %v; it is shown when it is back", err)
			continue
		}
		if wrong := c.part(err); wrong != nil {
			return wrong
		}
		if err != nil {
			break
		}
		if !to.IsZero() && e.At.After(to) {
			break
		}
		if ids == nil || ids[e.ID] {
			found = true
			c.auditEntry(e)
		}
	}
	if !found && !follow {
		return &exit{exitNothing, "nothing in the audit trail matched"}
	}
	return nil
}

func (c *ctl) auditEntry(e holdstore.Entry) {
	if c.json {
		c.encode(auditLine{e.At, e.Verb, e.ID, e.By, e.From, e.Reason, e.Detail})
		return
	}
	line := fmt.Sprintf("%s %-8s %s by %s from %s", local(e.At), e.Verb, e.ID, e.By, e.From)
	if e.Reason != "" {
		line += ", reason: " + e.Reason
	}
	if e.Detail != "" {
		line += ", " + e.Detail
	}
	fmt.Fprintln(c.stdout, sanitize.TerminalCell(line))
}
