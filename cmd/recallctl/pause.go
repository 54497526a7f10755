package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/recall-milter/recall-milter/holdstore"
)

// pauseLine is a pause in JSON.
type pauseLine struct {
	At     time.Time `json:"at"`
	By     string    `json:"by"`
	From   string    `json:"from"`
	Reason string    `json:"reason"`
	Partly bool      `json:"partly,omitempty"` // a part of the store was away then, and its releases go on
}

func (c *ctl) pause() *cobra.Command {
	a := &act{ctl: c, name: "pause"}
	cmd := &cobra.Command{Use: "pause", Args: noArgument}
	cmd.Flags().StringVar(&a.reason, "reason", "", "why, as `text` for the audit trail")
	cmd.RunE = c.onStore(func(ctx context.Context, _ []string) error {
		before, _ := c.store.Paused(ctx) // only for words: whatever is wrong, the pause itself says it
		changed, err := c.store.Pause(ctx, a.who())
		if err := c.partly("not all releases are paused", err); err != nil {
			return err
		}
		switch {
		case changed:
			a.acted(nil, "pause")
			if a.reason != "" && before != nil && !before.Partly {
				c.say("releases had been paused %s", byWhom(before))
			}
		case before != nil:
			c.say("releases are paused already, %s; nothing was changed", byWhom(before))
		default: // somebody was faster
			c.say("releases are paused already; nothing was changed")
		}
		s, err := c.store.Stats(ctx)
		if err := c.part(err); err != nil {
			return err
		}
		if n := s.Count[holdstore.Releasing]; n > 0 {
			c.say("%s being sent at this moment, and will be", isOrAre(n))
		}
		what := "nothing"
		if c.unseen != nil {
			what = "nothing of what can be reached"
		}
		c.say("%s is released until you type %s; %s held", what, c.command("resume"), isOrAre(s.Count[holdstore.Held]))
		return nil
	})
	return cmd
}

func (c *ctl) resume() *cobra.Command {
	a := &act{ctl: c, name: "resume"}
	cmd := &cobra.Command{Use: "resume", Args: noArgument}
	cmd.Flags().StringVar(&a.reason, "reason", "", "why, as `text` for the audit trail")
	cmd.RunE = c.onStore(func(ctx context.Context, _ []string) error {
		was, err := c.store.Resume(ctx, a.who())
		if err := c.partly("not all releases go on", err); err != nil {
			return err
		}
		if !was {
			c.say("releases were not paused; nothing was changed")
			return nil
		}
		a.acted(nil, "resume")
		c.say("releases go on")
		return nil
	})
	return cmd
}

func isOrAre(n int) string {
	if n == 1 {
		return "1 message is"
	}
	return count(n) + " are"
}

// paused says, when somebody has paused the releases, who did, when and why; "" when nobody has. What can't be seen is
// said at the end.
func (c *ctl) paused(ctx context.Context) (words string, line *pauseLine, err error) {
	p, err := c.store.Paused(ctx)
	if err := c.part(err); p == nil || err != nil {
		return "", nil, err
	}
	words = byWhom(p)
	if p.Partly {
		words += "; but a part that was away then is not: " + c.command("pause") + " again"
	}
	return words, &pauseLine{p.At, p.By, p.From, p.Reason, p.Partly}, nil
}

func byWhom(p *holdstore.Pause) string {
	words := fmt.Sprintf("since %s by %s from %s", local(p.At), p.By, p.From)
	if p.Reason != "" {
		words += ", reason: " + p.Reason
	}
	return words
}

// sayPaused says, in addition to an answer, why due messages do not leave.
func (c *ctl) sayPaused(ctx context.Context) error {
	words, _, err := c.paused(ctx)
	if words != "" {
		c.say("releases are paused %s", words)
	}
	return err
}
