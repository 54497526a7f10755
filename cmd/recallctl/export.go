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
		holds, err := c.targets(ctx, refs, &f, anyStates...)
		if err != nil {
			return err
		}
		if len(holds) > 1 && !c.json {
			return usage("%s match: export writes one; name it, or add --json", count(len(holds)))
		}
		for _, h := range holds {
			if err := c.exportOne(ctx, h); err != nil {
				return err
			}
		}
		return nil
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
