package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/recall-milter/recall-milter/internal/wiring"
)

func (c *ctl) link() *cobra.Command {
	cmd := &cobra.Command{Use: "link REF...", ValidArgsFunction: c.complete(anyStates...)}
	cmd.RunE = c.onStore(func(ctx context.Context, refs []string) error {
		m, err := c.marker(ctx)
		if err != nil {
			return err
		}
		link := wiring.HoldLink(c.config, m)
		if link == nil || c.ignores("web") {
			return usage("the page is switched off: set web.listen and web.base_url in the config")
		}
		if len(refs) == 0 {
			return usage("say which messages: a REF (hold ID, Message-ID or queue ID)")
		}
		c.onlyREFs = true
		holds, err := c.named(ctx, refs)
		for _, h := range holds {
			fmt.Fprintln(c.stdout, link(h))
		}
		return err
	})
	return cmd
}
