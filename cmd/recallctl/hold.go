package main

import (
	"context"
	"fmt"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
)

// hold is a hold in JSON; the names are the contract's.
type hold struct {
	ID         string      `json:"id"`
	State      string      `json:"state"`
	QueueID    string      `json:"queue_id"`
	MessageID  string      `json:"message_id"`
	Sender     string      `json:"sender"`
	Recipients []recipient `json:"recipients"`
	Login      string      `json:"login"`
	Client     string      `json:"client"`
	Size       int64       `json:"size"`
	Subject    string      `json:"subject"`
	Rule       string      `json:"rule"`
	Grace      string      `json:"grace"`
	HeldAt     time.Time   `json:"held_at"`
	DueAt      time.Time   `json:"due_at"`
}

type recipient struct {
	Address string `json:"address"`
	Result  string `json:"result"`
	Detail  string `json:"detail"`
}

func asJSON(h *holdstore.Hold, subject string) hold {
	out := hold{ID: h.ID, State: string(h.State), QueueID: h.QueueID, MessageID: h.MessageID, Sender: h.Sender.Address,
		Login: h.Login, Client: h.Client.Address, Size: h.Size, Subject: subject, Rule: h.Rule, Grace: h.Grace.String(),
		HeldAt: h.HeldAt, DueAt: h.Due, Recipients: []recipient{}}
	for i, r := range h.Results {
		out.Recipients = append(out.Recipients, recipient{h.Recipients[i].Address, string(r.Outcome), r.Detail})
	}
	return out
}

// subject reads the subject from the header in the store; of what was released there is none any more.
func subject(ctx context.Context, store *holdstore.Store, h *holdstore.Hold) string {
	if h.State == holdstore.Released {
		return ""
	}
	header, err := store.Header(ctx, h)
	if err != nil {
		return ""
	}
	return holdstore.Subject(header)
}

// holds writes holds as a table, or as JSON.
func (s *screen) holds(ctx context.Context, store *holdstore.Store, holds []*holdstore.Hold) {
	if s.json {
		for _, h := range holds {
			s.encode(asJSON(h, subject(ctx, store, h)))
		}
		return
	}
	if len(holds) == 0 {
		return
	}
	heading, rows := []string{"ID", "DUE IN", "SENDER", "RECIPIENTS", "SIZE", "SUBJECT"}, [][]string{}
	mixed := false
	for _, h := range holds {
		mixed = mixed || h.State != holdstore.Held
	}
	for _, h := range holds {
		rows = append(rows, row(h, subject(ctx, store, h), mixed))
	}
	if mixed {
		heading[1] = "STATE"
	}
	s.table(heading, rows)
}

// row is a hold on one line; among holds of several states, its state stands where the due moment would.
func row(h *holdstore.Hold, subject string, mixed bool) []string {
	when := dueIn(h.Due)
	if mixed {
		when = string(h.State)
		if h.State == holdstore.Held {
			when += ", due in " + dueIn(h.Due)
		}
	}
	return []string{h.ID, when, cell(orNull(h.Sender.Address)), cell(recipients(h)), sized(h.Size), cell(subject)}
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
