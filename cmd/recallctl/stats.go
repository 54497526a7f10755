package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/sanitize"
)

// numbers are the counts in JSON.
type numbers struct {
	Held      int        `json:"held"`
	Releasing int        `json:"releasing"`
	Released  int        `json:"released"`
	Recalled  int        `json:"recalled"`
	Bytes     int64      `json:"bytes"`
	Oldest    *time.Time `json:"oldest_held_at"` // null: nothing is held
	Lateness  float64    `json:"latest_lateness_seconds"`
	Paused    *pauseLine `json:"paused"` // null: releases go on
}

func (c *ctl) stats() *cobra.Command {
	cmd := &cobra.Command{Use: "stats", Args: c.noREF}
	cmd.RunE = c.onStore(func(ctx context.Context, _ []string) error {
		s, err := c.store.Stats(ctx)
		if err := c.part(err); err != nil {
			return err
		}
		words, line, err := c.paused(ctx)
		if err != nil {
			return err
		}
		if c.json {
			n := numbers{Held: s.Count[holdstore.Held], Releasing: s.Count[holdstore.Releasing],
				Released: s.Count[holdstore.Released],
				Recalled: s.Count[holdstore.Recalled], Bytes: s.Bytes, Lateness: s.Lateness.Seconds(), Paused: line}
			if !s.Oldest.IsZero() {
				n.Oldest = &s.Oldest
			}
			return c.encode(n)
		}
		for _, state := range anyStates {
			fmt.Fprintf(c.stdout, "%-16s %d\n", state, s.Count[state])
		}
		fmt.Fprintf(c.stdout, "%-16s %s\n%-16s %s\n%-16s %v\n", "waiting bytes", sized(s.Bytes), "oldest held",
			ago(s.Oldest), "latest lateness", s.Lateness)
		if words != "" {
			fmt.Fprintf(c.stdout, "%-16s %s\n", "paused", sanitize.TerminalCell(words))
		}
		return nil
	})
	return cmd
}

func ago(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return span(time.Since(t)) + " ago"
}
