package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/holdjson"
)

// listPage is how many holds are laid out at a time.
const listPage = 200

// lister writes holds as a table, a page at a time, or as JSON.
type lister struct {
	s     *screen
	store *holdstore.Store
	page  []*holdstore.Hold
	mixed bool // states stand where due moments would
	begun bool
	columns
}

func (l *lister) add(ctx context.Context, h *holdstore.Hold) error {
	if l.page = append(l.page, h); len(l.page) < listPage {
		return nil
	}
	return l.flush()
}

// flush writes what was added; it must come at the end.
func (l *lister) flush() error {
	if len(l.page) == 0 {
		return nil
	}
	heading, rows := []string{"ID", "DUE IN", "SENDER", "RECIPIENTS", "SIZE", "SUBJECT"}, [][]string{}
	l.mixed = l.mixed || slices.ContainsFunc(l.page, func(h *holdstore.Hold) bool { return h.State != holdstore.Held })
	for _, h := range l.page {
		if l.s.json {
			l.s.encode(holdjson.Of(h, l.s.reason(h)))
		} else {
			rows = append(rows, row(h, l.mixed))
		}
	}
	if l.mixed {
		heading[1] = "STATE"
	}
	if !l.begun {
		rows = slices.Insert(rows, 0, heading)
	}
	l.page, l.begun = l.page[:0], true
	if l.s.json {
		return nil
	}
	width, _ := l.s.size()
	for _, line := range l.lines(rows, width) {
		fmt.Fprintln(l.s.stdout, line)
	}
	return nil
}

// holds writes some holds as a table, or as JSON.
func (s *screen) holds(ctx context.Context, store *holdstore.Store, holds []*holdstore.Hold) error {
	l := &lister{s: s, store: store}
	for _, h := range holds {
		l.mixed = l.mixed || h.State != holdstore.Held
	}
	for _, h := range holds {
		if err := l.add(ctx, h); err != nil {
			return err
		}
	}
	return l.flush()
}

// row is a hold on one line; among holds of several states, its state stands where the due moment would.
func row(h *holdstore.Hold, mixed bool) []string {
	when := dueIn(h.Due)
	if mixed {
		when = string(h.State)
		if h.State == holdstore.Held {
			when += ", due in " + dueIn(h.Due)
		}
	}
	return []string{h.ID, when, orNull(h.Sender.Address), recipients(h), sized(h.Size), h.Subject}
}

func orNull(sender string) string {
	if sender == "" {
		return "<>"
	}
	return sender
}

func recipients(h *holdstore.Hold) string {
	if len(h.Recipients) == 0 {
		return ""
	}
	first := h.Recipients[0].Address
	if more := len(h.Recipients) - 1; more > 0 {
		first += fmt.Sprintf(" +%d", more)
	}
	return first
}

func dueIn(due time.Time) string {
	left := time.Until(due)
	if left < 0 {
		return "now"
	}
	return span(left)
}

// span writes how long something takes, in its two largest units.
func span(d time.Duration) string {
	d = d.Round(time.Second)
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", d/time.Minute, d%time.Minute/time.Second)
	case d < 24*time.Hour:
		return fmt.Sprintf("%dh%02dm", d/time.Hour, d%time.Hour/time.Minute)
	}
	return fmt.Sprintf("%dd%02dh", d/(24*time.Hour), d%(24*time.Hour)/time.Hour)
}

// sized writes a size in the units of the config.
func sized(n int64) string {
	switch {
	case n < 10<<10:
		return fmt.Sprint(n)
	case n < 10<<20:
		return fmt.Sprintf("%dKB", n>>10)
	case n < 10<<30:
		return fmt.Sprintf("%dMB", n>>20)
	}
	return fmt.Sprintf("%dGB", n>>30)
}
