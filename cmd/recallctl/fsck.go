package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/sanitize"
)

// faultLine is a fault in JSON.
type faultLine struct {
	Name     string `json:"name"`
	What     string `json:"what"`
	Fix      string `json:"fix"` // "": nothing can be done
	Repaired bool   `json:"repaired"`
}

func (c *ctl) fsck() *cobra.Command {
	var repair bool
	cmd := &cobra.Command{Use: "fsck", Args: noArgument}
	cmd.Flags().BoolVar(&repair, "repair", false, "fix what can be fixed; no held message is deleted")
	cmd.RunE = c.onStore(func(ctx context.Context, _ []string) error {
		bar := c.progress(0)
		defer bar.done()
		left, fixed := 0, 0
		for f, err := range c.store.Fsck(ctx, repair, bar.of) {
			if wrong := c.part(err); wrong != nil {
				return fmt.Errorf("the check ended early: %w", wrong)
			}
			if err != nil {
				break
			}
			if f.Repaired {
				fixed++
			} else {
				left++
			}
			bar.done()
			c.fault(f)
		}
		bar.done()
		return c.checked(left, fixed)
	})
	return cmd
}

func (c *ctl) fault(f holdstore.Fault) {
	if c.json {
		c.encode(faultLine(f))
		return
	}
	words := f.Name + ": " + f.What
	switch {
	case f.Repaired:
		words += ": fixed, " + f.Fix
	case f.Fix != "":
		words += ": --repair fixes it, " + f.Fix
	default:
		words += ": --repair can't fix this"
	}
	fmt.Fprintln(c.stdout, sanitize.TerminalCell(words))
}

func (c *ctl) checked(left, fixed int) error {
	switch {
	case left > 0 && fixed > 0:
		return &exit{exitNothing, fmt.Sprintf("%s fixed, %d left", faults(fixed), left)}
	case left > 0:
		return &exit{exitNothing, faults(left) + " found"}
	case fixed > 0:
		c.say("%s fixed", faults(fixed))
	case c.unseen != nil:
		c.say("all that can be seen fits")
	default:
		c.say("everything fits")
	}
	return nil
}

func faults(n int) string {
	if n == 1 {
		return "1 fault"
	}
	return fmt.Sprintf("%d faults", n)
}
