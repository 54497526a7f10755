package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/sanitize"
)

// maxOffered is how many hold IDs a shell shows.
const maxOffered = 100

// complete offers the IDs of holds in some states to the shell; a store that is away offers nothing, and fast.
func (c *ctl) complete(states ...holdstore.State) cobra.CompletionFunc {
	return func(cmd *cobra.Command, _ []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if c.open() != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), time.Second)
		defer cancel()
		var all []cobra.Completion
		for h, err := range c.store.Find(ctx, holdstore.Query{States: states}) {
			if err != nil || len(all) == maxOffered {
				break
			}
			all = append(all, cobra.CompletionWithDesc(sanitize.TerminalCell(h.ID),
				sanitize.TerminalCell(h.Sender.Address+" to "+recipients(h))))
		}
		return all, cobra.ShellCompDirectiveNoFileComp
	}
}
