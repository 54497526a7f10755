package clawback

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
)

// Message is one message that came in, by however many transactions.
type Message struct {
	holdstore.Delivered // with all recipients of it that match

	came map[string]stay // when it came in, by folded recipient
}

// stay is when a message came into a mailbox for the first and for the last time. Whoever sends one again makes it
// neither older than it is nor younger.
type stay struct{ first, last time.Time }

func newMessage(d holdstore.Delivered) Message {
	m := Message{d, map[string]stay{}}
	m.comes(&d)
	return m
}

// comes notes when a message came into its mailboxes.
func (m *Message) comes(d *holdstore.Delivered) {
	for _, r := range d.Recipients {
		s, known := m.came[holdstore.Fold(r)]
		if !known || d.At.Before(s.first) {
			s.first = d.At
		}
		if d.At.After(s.last) {
			s.last = d.At
		}
		m.came[holdstore.Fold(r)] = s
	}
}

// Found is what a query selects.
type Found struct {
	Messages []Message
	Apart    []Message // with the same Message-ID, and another content or author: left alone unless asked for
	Unread   int       // messages whose seal key is missing
}

// Mailboxes lists the mailboxes of the messages, and with all of those that are apart.
func (f *Found) Mailboxes(all bool) (boxes []Mailbox) {
	messages := f.Messages
	if all {
		messages = slices.Concat(messages, f.Apart)
	}
	for _, m := range messages {
		for _, r := range m.Recipients {
			came := m.came[holdstore.Fold(r)]
			if came.last.Equal(came.first) {
				came.last = time.Time{}
			}
			boxes = append(boxes, Mailbox{Recipient: r, MessageID: m.MessageID, Author: m.Author, Subject: m.Subject,
				Header: m.Header, Body: m.Body, Received: came.first, Last: came.last})
		}
	}
	return boxes
}

// Find looks for what came in. Of messages with one Message-ID, the first that matches is the message, and those with
// another content or author are apart. With holdstore.ErrPartial there may be more.
func Find(ctx context.Context, store Store, q holdstore.DeliveredQuery) (*Found, error) {
	all, unread, err := store.FindDelivered(ctx, q)
	if err != nil && !errors.Is(err, holdstore.ErrPartial) {
		return nil, err
	}
	f := &Found{Unread: unread}
	f.add(all)
	if len(f.Messages) == 0 {
		return f, err
	}
	// What has the same Message-ID, and does not match, is shown as well.
	var ids []string
	for _, m := range f.Messages {
		ids = append(ids, m.MessageID)
	}
	if q.Sender != "" || q.Subject != "" {
		others, _, wrong := store.FindDelivered(ctx, holdstore.DeliveredQuery{MessageIDs: ids, Recipient: q.Recipient})
		if wrong != nil && !errors.Is(wrong, holdstore.ErrPartial) {
			return nil, wrong
		}
		for _, d := range others {
			same := func(m Message) bool { return m.SameContent(&d) }
			if !slices.ContainsFunc(f.Messages, same) && !joined(f.Apart, d) {
				f.Apart = append(f.Apart, newMessage(d))
			}
		}
	}
	return f, err
}

// add sorts what was found.
func (f *Found) add(all []holdstore.Delivered) {
	first := map[string]int{}
	for _, d := range all {
		id := holdstore.Fold(d.MessageID)
		n, known := first[id]
		switch {
		case !known:
			first[id] = len(f.Messages)
			f.Messages = append(f.Messages, newMessage(d))
		case f.Messages[n].SameContent(&d):
			f.Messages[n].join(d)
		case !joined(f.Apart, d):
			f.Apart = append(f.Apart, newMessage(d))
		}
	}
}

// joined adds the recipients of a transaction to its message, if that is among some.
func joined(some []Message, d holdstore.Delivered) bool {
	for n := range some {
		if some[n].SameContent(&d) {
			some[n].join(d)
			return true
		}
	}
	return false
}

// join adds recipients, each once.
func (m *Message) join(d holdstore.Delivered) {
	m.comes(&d)
	known := holdstore.NewAddresses(m.Recipients)
	for _, r := range d.Recipients {
		if !known.Has(r) {
			m.Recipients = append(m.Recipients, r)
		}
	}
	if d.At.Before(m.At) {
		m.At = d.At
	}
}
