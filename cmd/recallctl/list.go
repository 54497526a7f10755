package main

import (
	"context"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/recall-milter/recall-milter/holdstore"
)

var (
	waiting   = []holdstore.State{holdstore.Held, holdstore.Releasing}
	anyStates = []holdstore.State{holdstore.Held, holdstore.Releasing, holdstore.Released, holdstore.Recalled}
)

func (c *ctl) list() *cobra.Command {
	var f filter
	var names []string
	cmd := &cobra.Command{Use: "list", Short: "what is held, soonest due first", Args: noREF}
	f.flags(cmd)
	cmd.Flags().StringSliceVar(&names, "state", nil, "`states`: held, releasing, released, recalled (default held,releasing)")
	cmd.RunE = c.onStore(func(ctx context.Context, _ []string) error {
		states, err := parseStates(names)
		if err != nil {
			return err
		}
		holds, err := c.find(ctx, &f, states...)
		if err != nil {
			return err
		}
		c.holds(ctx, c.store, holds)
		return c.sayPaused(ctx)
	})
	return cmd
}

func parseStates(names []string) ([]holdstore.State, error) {
	if len(names) == 0 {
		return waiting, nil
	}
	var states []holdstore.State
	for _, name := range names {
		state := holdstore.State(strings.ToLower(name))
		if !slices.Contains(anyStates, state) {
			return nil, usage("%q is no state: allowed are held, releasing, released, recalled", name)
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

func noREF(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usage("%s takes filters and no REF: for one message there is recallctl show %s", cmd.Name(), args[0])
	}
	return nil
}
