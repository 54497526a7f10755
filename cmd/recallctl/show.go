package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/holdjson"
	"github.com/recall-milter/recall-milter/internal/sanitize"
	"github.com/recall-milter/recall-milter/policy"
)

func (c *ctl) show() *cobra.Command {
	var f filter
	cmd := &cobra.Command{Use: "show REF...",
		ValidArgsFunction: c.complete(anyStates...)}
	f.flags(cmd)
	cmd.RunE = c.onStore(func(ctx context.Context, refs []string) error {
		first := true
		return c.each(ctx, refs, &f, func(h *holdstore.Hold) error {
			if !first && !c.json {
				fmt.Fprintln(c.stdout)
			}
			first = false
			c.showOne(ctx, h)
			return nil
		}, anyStates...)
	})
	return cmd
}

func (c *ctl) showOne(ctx context.Context, h *holdstore.Hold) {
	header, err := c.store.Header(ctx, h)
	if c.json {
		c.encode(holdjson.Details{Hold: holdjson.Of(h, c.reason(h)), Attempts: h.Attempts, Timeline: h.Timeline,
			Header: string(header)})
		return
	}
	c.envelope(h)
	c.results(h)
	c.timeline(h)
	switch {
	case err == nil:
		fmt.Fprintf(c.stdout, "\nHeader\n%s\n", indented(string(header)))
	case h.State == holdstore.Released:
		fmt.Fprintln(c.stdout, "\nHeader and body are not kept after the release.")
	default:
		fmt.Fprintf(c.stdout, "\nHeader: %s\n", sanitize.TerminalText(err.Error()))
	}
}

// envelope says what is known of the message, a line each; what is not known has none.
func (c *ctl) envelope(h *holdstore.Hold) {
	state := string(h.State)
	if h.State == holdstore.Held {
		state += ", due in " + dueIn(h.Due)
	}
	client := h.Client.Address
	if h.Client.Name != "" && h.Client.Name != "unknown" {
		client += " (" + h.Client.Name + ")"
	}
	grace := "grace " + policy.Short(h.Grace)
	if h.Fixed {
		grace = "until " + policy.Clock(c.clock(h.HeldAt.Add(h.Grace)))
	}
	doubt := ""
	if err := h.Proven(); err != nil {
		doubt = "nothing of this is proven: " + err.Error()
	}
	for _, line := range [][2]string{
		{"ID", h.ID}, {"State", state}, {"Proof", doubt}, {"Subject", h.Subject}, {"Message-ID", h.MessageID},
		{"Queue ID", h.QueueID},
		{"Sender", "<" + h.Sender.Address + "> " + strings.Join(h.Sender.Args, " ")}, {"Login", h.Login}, {"Client", client},
		{"TLS", h.TLS}, {"Size", fmt.Sprintf("%d bytes", h.Size)}, {"Rule", h.Rule + ", " + grace},
		{"Reason", c.reason(h)},
		{"Held at", local(h.HeldAt)}, {"Due at", local(h.Due)}, {"Attempts", attempts(h.Attempts)},
	} {
		if value := strings.TrimSpace(sanitize.TerminalCell(line[1])); value != "" {
			fmt.Fprintf(c.stdout, "%-11s %s\n", line[0], value)
		}
	}
}

func attempts(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprint(n)
}

func (c *ctl) results(h *holdstore.Hold) {
	var rows [][]string
	for i, r := range h.Results {
		to := h.Recipients[i]
		rows = append(rows, []string{strings.TrimSpace("<" + to.Address + "> " + strings.Join(to.Args, " ")),
			string(r.Outcome), r.Detail})
	}
	fmt.Fprintln(c.stdout)
	c.table([]string{"RECIPIENT", "RESULT", "DETAIL"}, rows)
}

func (c *ctl) timeline(h *holdstore.Hold) {
	var rows [][]string
	for _, e := range h.Timeline {
		rows = append(rows, []string{local(e.At), e.Verb, e.By, e.Detail})
	}
	fmt.Fprintln(c.stdout)
	c.table([]string{"TIME", "EVENT", "BY", "DETAIL"}, rows)
}

func local(t time.Time) string { return t.Local().Format("2006-01-02 15:04:05") }

// indented shows header lines as they stand, with tabs as blanks.
func indented(header string) string {
	header = strings.ReplaceAll(strings.ReplaceAll(header, "\r\n", "\n"), "\t", "    ")
	return "  " + strings.ReplaceAll(strings.TrimSuffix(sanitize.TerminalText(header), "\n"), "\n", "\n  ")
}
