package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/mail"
	"strings"
	"time"
	"unicode"

	"github.com/recall-milter/recall-milter/holdstore"
)

// line is a hold in JSON; the names are the contract's.
type line struct {
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

// print writes one hold as a line.
func (c *ctl) print(ctx context.Context, h *holdstore.Hold) {
	subject := c.subject(ctx, h)
	if !c.json {
		to := ""
		if len(h.Recipients) > 0 {
			to = h.Recipients[0].Address
		}
		if more := len(h.Recipients) - 1; more > 0 {
			to += fmt.Sprintf(" +%d", more)
		}
		fmt.Fprintf(c.stdout, "%s  %-9s  %8s  <%s>  %s  %d  %s\n", h.ID, h.State, dueIn(h), clean(h.Sender.Address), clean(to), h.Size, clean(subject))
		return
	}
	l := line{ID: h.ID, State: string(h.State), QueueID: h.QueueID, MessageID: h.MessageID, Sender: h.Sender.Address,
		Login: h.Login, Client: h.Client.Address, Size: h.Size, Subject: subject, Rule: h.Rule, Grace: h.Grace.String(),
		HeldAt: h.HeldAt, DueAt: h.Due}
	for i, r := range h.Results {
		l.Recipients = append(l.Recipients, recipient{h.Recipients[i].Address, string(r.Outcome), r.Detail})
	}
	c.encode(l)
}

// encode writes one JSON object on a line; <> of a Message-ID stay as they are.
func (c *ctl) encode(v any) error {
	e := json.NewEncoder(c.stdout)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

func dueIn(h *holdstore.Hold) string {
	if h.State != holdstore.Held {
		return "-"
	}
	return time.Until(h.Due).Round(time.Second).String()
}

// subject reads the subject from the header in the store; what was released has none any more.
func (c *ctl) subject(ctx context.Context, h *holdstore.Hold) string {
	if h.State == holdstore.Released {
		return ""
	}
	header, err := c.store.Header(ctx, h)
	if err != nil {
		return ""
	}
	m, err := mail.ReadMessage(bytes.NewReader(append(header, '\r', '\n')))
	if err != nil {
		return ""
	}
	raw := m.Header.Get("Subject")
	if decoded, err := new(mime.WordDecoder).DecodeHeader(raw); err == nil {
		return decoded
	}
	return raw
}

// clean keeps what others typed from steering the terminal.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, s)
}

func (c *ctl) list(ctx context.Context) error {
	states := []holdstore.State{holdstore.Held, holdstore.Releasing}
	if c.states != nil {
		states = nil
		for _, s := range c.states {
			if !strings.Contains(" held releasing released recalled ", " "+s+" ") {
				return &exit{exitUsage, fmt.Sprintf("%q is no state: allowed are held, releasing, released, recalled", s)}
			}
			states = append(states, holdstore.State(s))
		}
	}
	holds, err := c.find(ctx, states...)
	if err == nil && len(holds) == 0 {
		return &exit{exitNothing, "nothing matched"}
	}
	for _, h := range holds {
		c.print(ctx, h)
	}
	return err
}

func (c *ctl) show(ctx context.Context, ref string) error {
	h, err := c.one(ctx, ref)
	if err != nil {
		return err
	}
	c.print(ctx, h)
	if c.json {
		return nil
	}
	for i, r := range h.Results {
		fmt.Fprintf(c.stdout, "  to <%s>: %s %s\n", clean(h.Recipients[i].Address), r.Outcome, clean(r.Detail))
	}
	for _, e := range h.Timeline {
		fmt.Fprintf(c.stdout, "  %s %s %s %s\n", e.At.Format(time.RFC3339), e.Verb, clean(e.By), clean(e.Detail))
	}
	if header, err := c.store.Header(ctx, h); err == nil {
		for _, l := range strings.Split(string(header), "\r\n") {
			fmt.Fprintln(c.stdout, "  | "+clean(strings.ReplaceAll(l, "\t", "    ")))
		}
	}
	return nil
}

func (c *ctl) export(ctx context.Context, ref string) error {
	h, err := c.one(ctx, ref)
	if err != nil {
		return err
	}
	if h.State == holdstore.Released {
		return &exit{exitTooLate, h.ID + ": released: its content is not kept"}
	}
	_, err = io.Copy(c.stdout, c.store.Content(ctx, h))
	return err
}

func (c *ctl) stats(ctx context.Context) error {
	s, err := c.store.Stats(ctx)
	if err != nil {
		return err
	}
	if c.json {
		return c.encode(map[string]any{"held": s.Count[holdstore.Held], "releasing": s.Count[holdstore.Releasing],
			"released": s.Count[holdstore.Released], "recalled": s.Count[holdstore.Recalled], "bytes": s.Bytes, "lateness": s.Lateness.String()})
	}
	for _, state := range []holdstore.State{holdstore.Held, holdstore.Releasing, holdstore.Released, holdstore.Recalled} {
		fmt.Fprintf(c.stdout, "%-10s %d\n", state, s.Count[state])
	}
	fmt.Fprintf(c.stdout, "%-10s %d\n%-10s %s\n", "bytes", s.Bytes, "lateness", s.Lateness)
	return nil
}

// watch redraws the list each second until Ctrl-C.
func (c *ctl) watch(ctx context.Context) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		holds, err := c.find(ctx, holdstore.Held, holdstore.Releasing)
		fmt.Fprintf(c.stdout, "\x1b[H\x1b[2J%d held; Ctrl-C ends this list\n", len(holds))
		if err != nil {
			fmt.Fprintln(c.stdout, clean(err.Error()))
		}
		for _, h := range holds[:min(len(holds), 40)] {
			c.print(ctx, h)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}
