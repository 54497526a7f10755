package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/recall-milter/recall-milter/holdstore"
)

// forgotten is what is known of a person, in JSON.
type forgotten struct {
	Address    string   `json:"address"`
	Records    int      `json:"records"`
	Remembered int      `json:"remembered"`
	OwnGrace   bool     `json:"own_grace"`
	Pairs      int      `json:"correspondents"` // to whom they have written, and who has written to them
	Waiting    []string `json:"waiting"`        // IDs that stay
	Forgotten  bool     `json:"forgotten"`
}

func (c *ctl) forget() *cobra.Command {
	a := &act{ctl: c, name: "forget"}
	var dryRun, yes bool
	cmd := &cobra.Command{Use: "forget ADDRESS", Args: func(_ *cobra.Command, args []string) error {
		if len(args) != 1 {
			return usage("forget needs one address or login")
		}
		return nil
	}}
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "only say how much there is")
	cmd.Flags().BoolVar(&yes, "yes", false, "don't ask")
	cmd.Flags().StringVar(&a.reason, "reason", "", "why, as `text` for the audit trail; without the address")
	cmd.RunE = c.onStore(func(ctx context.Context, args []string) error {
		return c.forgets(ctx, a, strings.Trim(args[0], "<>"), dryRun, yes)
	})
	return cmd
}

func (c *ctl) forgets(ctx context.Context, a *act, name string, dryRun, yes bool) error {
	t, err := c.store.Traces(ctx, name)
	if err != nil && !errors.Is(err, holdstore.ErrPartial) {
		return err
	}
	if err := c.part(err); err != nil {
		return err
	}
	out := forgotten{Address: name, Records: len(t.Records), Remembered: len(t.Remembered), OwnGrace: t.Chosen,
		Waiting: append([]string{}, t.Waiting...)}
	if out.Pairs, err = c.pairsOf(ctx, a, name, true); err != nil {
		return err
	}
	nothing := out.Records+out.Remembered+out.Pairs == 0 && !out.OwnGrace
	c.sayTraces(out)
	switch {
	case nothing && len(t.Waiting) == 0:
		return &exit{exitNothing, "nothing is known of " + name}
	case nothing:
		return c.stillWaits(out)
	case dryRun:
		return c.encodeIf(out)
	case !yes && !c.interactive(c.stdin):
		return usage("nothing was changed: look with --dry-run, then add --yes")
	case !yes:
		fmt.Fprint(c.stderr, "forget this? It can't be undone [y/N] ")
		answer, _ := bufio.NewReader(c.stdin).ReadString('\n')
		if answer = strings.ToLower(strings.TrimSpace(answer)); answer != "y" && answer != "yes" {
			return usage("nothing was changed")
		}
	}
	if out.Records, err = c.store.ForgetPerson(ctx, name, t, a.who()); err != nil {
		return err
	}
	if out.Pairs, err = c.pairsOf(ctx, a, name, false); err != nil {
		return err
	}
	out.Forgotten = true
	c.say("forgotten: %d records, %d messages that came in, %d pairs of correspondents", out.Records, out.Remembered,
		out.Pairs)
	return c.stillWaits(out)
}

// sayTraces says how much there is.
func (c *ctl) sayTraces(f forgotten) {
	c.say("records of messages that have left or were recalled: %d", f.Records)
	c.say("remembered messages that came in from there: %d", f.Remembered)
	c.say("a chosen grace: %s", map[bool]string{true: "yes", false: "no"}[f.OwnGrace])
	c.say("pairs of correspondents: %d", f.Pairs)
}

// stillWaits says what can't be forgotten yet, and why.
func (c *ctl) stillWaits(f forgotten) error {
	if err := c.encodeIf(f); err != nil || len(f.Waiting) == 0 {
		return err
	}
	return &exit{exitTooLate, fmt.Sprintf("not forgotten, as they are still held and would be lost: %s. Release or "+
		"recall them, then run this again", strings.Join(f.Waiting, " "))}
}

// encodeIf writes JSON where it is wanted.
func (c *ctl) encodeIf(v any) error {
	if !c.json {
		return nil
	}
	return c.encode(v)
}
