package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/mattn/go-runewidth"
	"github.com/spf13/cobra"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/sanitize"
)

func (c *ctl) watch() *cobra.Command {
	var f filter
	cmd := &cobra.Command{Use: "watch", Args: c.noREF}
	f.flags(cmd)
	cmd.RunE = c.onStore(func(ctx context.Context, _ []string) error {
		if c.json {
			return c.follow(ctx, &f)
		}
		if width, _ := c.size(); width == 0 {
			return usage("watch needs a terminal: elsewhere use %s", c.command("watch --json"))
		}
		ctx, restore := untilKey(ctx, c.stdin)
		defer restore()
		fmt.Fprint(c.stdout, "\x1b[?1049h\x1b[?25l") // a screen of its own, without cursor
		defer fmt.Fprint(c.stdout, "\x1b[?25h\x1b[?1049l")
		return everySecond(ctx, func() error { c.redraw(ctx, &f); return nil })
	})
	return cmd
}

// everySecond calls do at once, and each second until ctx ends or do fails.
func everySecond(ctx context.Context, do func() error) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		if err := do(); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// redraw shows what fits. It is written at once, so that nothing flickers; what goes wrong is shown, and looked at
// again.
func (c *ctl) redraw(ctx context.Context, f *filter) {
	width, height := c.size()
	room := max(height-4, 1)
	c.unseen = nil
	holds, err := c.look(ctx, f, countedMost, waiting...)
	total, sure := c.total(ctx, f, len(holds))
	var b strings.Builder
	fmt.Fprintf(&b, "\x1b[H%s\x1b[K\n", runewidth.Truncate(fmt.Sprintf("%s%s waiting at %s; q ends this list", sure,
		count(total), time.Now().Format("15:04:05")), width, "…"))
	for _, note := range c.notes(ctx, err) {
		fmt.Fprintf(&b, "%s\x1b[K\n", runewidth.Truncate(sanitize.TerminalCell(note), width, "…"))
		room--
	}
	holds = holds[:min(len(holds), max(room, 0))]
	var rows [][]string
	for _, h := range holds {
		rows = append(rows, row(h, h.State != holdstore.Held))
	}
	for _, line := range laidOut([]string{"ID", "DUE IN", "SENDER", "RECIPIENTS", "SIZE", "SUBJECT"}, rows, width) {
		fmt.Fprintf(&b, "%s\x1b[K\n", line)
	}
	if below := total - len(holds); below > 0 {
		fmt.Fprintf(&b, "%s%d more below\x1b[K\n", sure, below)
	}
	fmt.Fprint(c.stdout, b.String()+"\x1b[J")
}

// countedMost bounds how many holds of a filter are counted each second.
const countedMost = 1000

// total is how many holds wait that a filter selects; seen are those that were looked for. sure is "" or "at least ".
func (c *ctl) total(ctx context.Context, f *filter, seen int) (total int, sure string) {
	if seen < countedMost {
		return seen, ""
	}
	if s, err := c.store.Stats(ctx); err == nil && f.everything() {
		return s.Count[holdstore.Held] + s.Count[holdstore.Releasing], ""
	}
	return seen, "at least "
}

// notes says what to know of a list: that releases are paused, and what went wrong.
func (c *ctl) notes(ctx context.Context, err error) (notes []string) {
	if err == nil {
		var words string
		if words, _, err = c.paused(ctx); words != "" {
			notes = append(notes, "releases are paused "+words)
		}
	}
	for _, err := range []error{c.unseen, err} {
		if err != nil {
			notes = append(notes, err.Error())
		}
	}
	return notes
}

// look is find for the first few, which may be none.
func (c *ctl) look(ctx context.Context, f *filter, most int, states ...holdstore.State) (holds []*holdstore.Hold,
	err error) {
	err = c.find(ctx, f, false, func(h *holdstore.Hold) error {
		if holds = append(holds, h); len(holds) == most {
			return errEnough
		}
		return nil
	}, states...)
	if isNothing(err) {
		return nil, nil
	}
	return holds, err
}

// follow writes a line for each hold that is new or changed, and a last one when it stops waiting. What can't be seen
// for a while has not changed.
func (c *ctl) follow(ctx context.Context, f *filter) error {
	known, said := map[string]string{}, false
	return everySecond(ctx, func() error {
		c.unseen = nil
		now := map[string]string{}
		l := &lister{s: c.screen, store: c.store}
		err := c.find(ctx, f, false, func(h *holdstore.Hold) error {
			if now[h.ID] = string(h.State) + h.Due.String(); known[h.ID] == now[h.ID] {
				return nil
			}
			return l.add(ctx, h)
		}, waiting...)
		if err != nil && !isNothing(err) {
			return err
		}
		for id := range known {
			if _, still := now[id]; still {
				continue
			}
			switch h, err := c.store.Get(ctx, id); {
			case err == nil:
				if err := l.add(ctx, h); err != nil {
					return err
				}
			case errors.Is(err, holdstore.ErrPartial):
				now[id] = known[id]
			}
		}
		if c.unseen != nil && !said {
			c.say("%v", c.unseen)
		}
		known, said = now, c.unseen != nil
		return l.flush()
	})
}
