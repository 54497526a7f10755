package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/hint"
	"github.com/recall-milter/recall-milter/internal/sanitize"
)

var (
	waiting   = []holdstore.State{holdstore.Held, holdstore.Releasing}
	anyStates = []holdstore.State{holdstore.Held, holdstore.Releasing, holdstore.Released, holdstore.Recalled}
)

func (c *ctl) list() *cobra.Command {
	var f filter
	var names []string
	var limit int
	var onlyCount, quiet bool
	cmd := &cobra.Command{Use: "list [REF...]", ValidArgsFunction: c.complete(anyStates...)}
	f.flags(cmd)
	cmd.Flags().StringSliceVar(&names, "state", nil,
		"`states`: held, releasing, released, recalled, or all (default held,releasing)")
	cmd.Flags().IntVarP(&limit, "limit", "n", 0,
		fmt.Sprintf("show no more than this `number`; 0: all (default %d on a terminal, else all)", terminalLimit))
	cmd.Flags().BoolVar(&onlyCount, "count", false, "print only how many there are")
	cmd.Flags().BoolVarP(&quiet, "quiet", "q", false, "print only IDs, one on a line, as recallctl recall - reads them")
	cmd.RunE = c.onStore(func(ctx context.Context, refs []string) error {
		states, err := parseStates(names)
		switch {
		case err != nil:
			return err
		case limit < 0:
			return usage("invalid --limit %d: use a number of messages, or 0 for all", limit)
		case len(refs) > 0 && (f.given() || cmd.Flags().Changed("state")):
			return usage("name messages by REF or by filter, not by both")
		case len(refs) > 0:
			return c.listNamed(ctx, refs, onlyCount, quiet)
		}
		if onlyCount || quiet {
			return c.bareList(ctx, &f, onlyCount, states...)
		}
		if width, _ := c.size(); width > 0 && !cmd.Flags().Changed("limit") {
			limit = terminalLimit
		}
		err = c.listed(ctx, &f, limit, states...)
		if isNothing(err) && f.everything() {
			c.say("nothing is %s", strings.Join(stateNames(states), " or "))
			err = nil
		}
		if err != nil {
			return err
		}
		return c.sayPaused(ctx)
	})
	return cmd
}

// listNamed writes the messages that REFs name, in any state.
func (c *ctl) listNamed(ctx context.Context, refs []string, onlyCount, quiet bool) error {
	c.several = true
	holds, err := c.named(ctx, refs)
	switch {
	case err != nil:
		return err
	case onlyCount:
		fmt.Fprintln(c.stdout, len(holds))
		return nil
	case quiet:
		for _, h := range holds {
			fmt.Fprintln(c.stdout, sanitize.TerminalCell(h.ID))
		}
		return nil
	}
	return c.holds(ctx, c.store, holds)
}

// bareList writes IDs, or how many there are.
func (c *ctl) bareList(ctx context.Context, f *filter, onlyCount bool, states ...holdstore.State) error {
	n := 0
	err := c.find(ctx, f, onlyCount, func(h *holdstore.Hold) error {
		if n++; !onlyCount {
			fmt.Fprintln(c.stdout, sanitize.TerminalCell(h.ID))
		}
		return nil
	}, states...)
	if isNothing(err) && (onlyCount || f.everything()) {
		err = nil
	}
	if onlyCount && err == nil {
		fmt.Fprintln(c.stdout, n)
	}
	return err
}

// terminalLimit is how many lines a terminal gets at a time: of a million nobody reads more.
const terminalLimit = 1000

// listed writes what a filter selects, up to a limit; 0: all.
func (c *ctl) listed(ctx context.Context, f *filter, limit int, states ...holdstore.State) error {
	l := &lister{s: c.screen, store: c.store, mixed: slices.Contains(states, holdstore.Recalled) ||
		slices.Contains(states, holdstore.Released)}
	shown, more := 0, false
	err := c.find(ctx, f, false, func(h *holdstore.Hold) error {
		if limit > 0 && shown == limit {
			more = true
			return errEnough
		}
		shown++
		return l.add(ctx, h)
	}, states...)
	if err != nil {
		return errors.Join(l.flush(), err)
	}
	if err := l.flush(); err != nil || !more {
		return err
	}
	c.say("and %s: --limit 0 shows all", c.howManyMore(ctx, f, shown, states))
	return nil
}

// howManyMore says how many more there are, where it is known at once.
func (c *ctl) howManyMore(ctx context.Context, f *filter, shown int, states []holdstore.State) string {
	plain := *f
	plain.all = false
	s, err := c.store.Stats(ctx)
	if plain.given() || err != nil {
		return "there are more"
	}
	all := 0
	for _, state := range states {
		all += s.Count[state]
	}
	return fmt.Sprintf("%d more", max(all-shown, 1))
}

func parseStates(names []string) ([]holdstore.State, error) {
	if len(names) == 0 {
		return waiting, nil
	}
	var states []holdstore.State
	for _, name := range names {
		state := holdstore.State(strings.ToLower(strings.TrimSpace(name)))
		if state == "all" {
			return anyStates, nil
		}
		if !slices.Contains(anyStates, state) {
			return nil, usage("invalid state %q: use held, releasing, released, recalled or all", name)
		}
		states = append(states, state)
	}
	return states, nil
}

func noArgument(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usage("%s concerns all mail of the store, and takes no REF", cmd.Name())
	}
	return nil
}

// noREF refuses arguments of a verb that has none.
func (c *ctl) noREF(cmd *cobra.Command, args []string) error {
	switch {
	case len(args) == 0:
		return nil
	case cmd.Flags().Lookup("sender") != nil:
		return usage("%s takes filters and no REF: for one message use %s", cmd.Name(),
			c.command("show "+hint.Quoted(args[0])))
	}
	return usage("unexpected argument %q: %s takes only flags, see %s --help", args[0], cmd.Name(), cmd.CommandPath())
}

func stateNames(states []holdstore.State) (names []string) {
	for _, s := range states {
		if s != holdstore.Releasing || len(states) == 1 {
			names = append(names, string(s))
		}
	}
	return names
}
