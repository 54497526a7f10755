package main

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	"github.com/recall-milter/recall-milter/holdstore"
)

// exported is a message in JSON.
type exported struct {
	ID      string `json:"id"`
	Message []byte `json:"message"` // base64
}

func (c *ctl) export() *cobra.Command {
	var f filter
	cmd := &cobra.Command{Use: "export REF | FILTER DIR", Short: "Write messages as they would be sent",
		Long: `Write one message to standard output, as it would be sent. With a filter and a folder, write each message
that waits to DIR/ID.eml, and its envelope to DIR/ID.json. A file is there whole or not at all, and nothing in the
store changes.

Exit codes: 0 all written; 1 nothing matched; 2 some could not be written, each is named and stays held;
` + storeCodes,
		Example: `  recallctl export 32VWE3H4VYYPX > mail.eml
  recallctl export --all /root/held`,
		ValidArgsFunction: c.complete(holdstore.Held, holdstore.Releasing, holdstore.Recalled)}
	f.flags(cmd)
	cmd.RunE = c.onStore(func(ctx context.Context, refs []string) error {
		if len(refs) == 1 && f.given() {
			return c.exportTo(ctx, &f, refs[0])
		}
		if c.json {
			return c.each(ctx, refs, &f, func(h *holdstore.Hold) error { return c.exportOne(ctx, h) }, anyStates...)
		}
		ids, err := c.chosen(ctx, refs, &f, anyStates...)
		if err != nil {
			return err
		}
		if len(ids) > 1 {
			return usage("%s match: export writes one to standard output: name it, name a folder for those that wait (%s), "+
				"or add --json", count(len(ids)), c.command("export --all DIR"))
		}
		h, err := c.store.Get(ctx, ids[0])
		if err != nil {
			return err
		}
		return c.exportOne(ctx, h)
	})
	return cmd
}

func (c *ctl) exportOne(ctx context.Context, h *holdstore.Hold) error {
	if h.State == holdstore.Released {
		return &exit{exitTooLate, h.ID + " is released: its content is not kept"}
	}
	content := c.store.Content(ctx, h)
	if !c.json {
		_, err := io.Copy(c.stdout, content)
		return err
	}
	text, err := io.ReadAll(content)
	if err != nil {
		return err
	}
	return c.encode(exported{h.ID, text})
}
