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
	cmd := &cobra.Command{Use: "export REF", Short: "the message as it would be sent, to standard output",
		ValidArgsFunction: c.complete(holdstore.Held, holdstore.Releasing, holdstore.Recalled)}
	f.flags(cmd)
	cmd.RunE = c.onStore(func(ctx context.Context, refs []string) error {
		if c.json {
			return c.each(ctx, refs, &f, func(h *holdstore.Hold) error { return c.exportOne(ctx, h) }, anyStates...)
		}
		ids, err := c.chosen(ctx, refs, &f, anyStates...)
		if err != nil {
			return err
		}
		if len(ids) > 1 {
			return usage("%s match: export writes one; name it, or add --json", count(len(ids)))
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
