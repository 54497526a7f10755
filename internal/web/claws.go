package web

import (
	"errors"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/clawback"
	"github.com/recall-milter/recall-milter/internal/criteria"
)

// What the operators' page and the API share of claw backs.

// clawQuery says which messages that came in are meant.
type clawQuery struct {
	MessageIDs []string `json:"message_ids"`
	Sender     string   `json:"sender"`
	Recipient  string   `json:"recipient"`
	Subject    string   `json:"subject"`
	Since      string   `json:"since"`
	Until      string   `json:"until"`
}

const (
	clawNamed = 1000 // Message-IDs of one query
	clawShown = 500  // messages or mailboxes of one answer
)

// read makes a query of the store. One that selects everything is refused: nobody means it.
func (q clawQuery) read(now time.Time, wrong int) (d holdstore.DeliveredQuery, err error) {
	d = holdstore.DeliveredQuery{MessageIDs: q.MessageIDs, Sender: criteria.Address(q.Sender),
		Recipient: criteria.Address(q.Recipient), Subject: q.Subject}
	since, until := false, false
	if q.Since != "" {
		d.Since, since = readMoment(q.Since, now)
	}
	if q.Until != "" {
		d.Until, until = readMoment(q.Until, now)
	}
	texts := strings.Join(append([]string{q.Sender, q.Recipient, q.Subject, q.Since, q.Until}, q.MessageIDs...), "")
	switch {
	case texts == "":
		err = invalid(wrong, "say which messages: name at least one Message-ID, or give a filter")
	case since || until:
		err = invalid(wrong, "since and until are moments of RFC 3339, or how long ago, like 90m")
	case len(q.MessageIDs) > clawNamed || len(texts) > 100*clawNamed || !utf8.ValidString(texts):
		err = invalid(wrong, "the filters are too long")
	}
	return d, err
}

// foundMail is what was found, and why there may be more; empty: there isn't.
type foundMail struct {
	*clawback.Found
	missing string
}

// delivered looks for what came in.
func (s *Server) delivered(r *http.Request, q clawQuery, wrong int) (foundMail, error) {
	d, err := q.read(s.now(), wrong)
	if err != nil {
		return foundMail{}, err
	}
	if err := s.claws.Acquire(r.Context(), 1); err != nil {
		return foundMail{}, err
	}
	defer s.claws.Release(1)
	f, err := clawback.Find(r.Context(), s.store, d)
	switch {
	case errors.Is(err, holdstore.ErrTooMany):
		return foundMail{}, invalid(wrong, err.Error())
	case errors.Is(err, holdstore.ErrPartial):
		return foundMail{f, "a part of the store is away"}, nil
	case err != nil:
		return foundMail{}, err
	}
	return foundMail{Found: f}, nil
}

// looksAtOnce bounds how many operators look through all that came in at a time: a look can find 100,000 mailboxes.
const looksAtOnce = 2

// folderMost is how many bytes the name of a folder can have.
const folderMost = 500

var errNoMailboxes = notNow(nil, "no mailbox can be reached: [inbound.mailbox] is not set in the config")

var errClawStopped = notNow(nil, "this claw back is stopped, and has moved nothing yet. What it is just moving can be "+
	"moved back as soon as that has ended: undo it again then")

// orderClaw writes an order in the name of whoever gives it, and returns its ID.
func (s *Server) orderClaw(r *http.Request, c *caller, o clawback.Order, boxes []clawback.Mailbox) (string, error) {
	by := c.act(o.Reason)
	o.By, o.From = by.By, by.From
	id := s.store.NewClawID()
	err := clawback.Start(r.Context(), s.store, id, o, boxes, s.o.ClawKeep)
	if err == nil {
		s.log.Acted(nil, o.Verb(), by)
	}
	return id, err
}

// undoClaw orders that what the claw back of a request has moved is moved back, and returns the ID of that order.
func (s *Server) undoClaw(r *http.Request, c *caller, reason string) (string, error) {
	if !s.o.Mailboxes {
		return "", errNoMailboxes
	}
	h, err := s.store.ClawBack(r.Context(), r.PathValue("id"))
	if err != nil {
		return "", err
	}
	boxes, err := clawback.Undo(r.Context(), s.store, h, c.act(reason))
	switch {
	case err != nil:
		return "", err
	case len(boxes) == 0 && h.Left > 0:
		s.log.Acted(nil, clawback.VerbStop, c.act(reason))
		return "", errClawStopped
	case len(boxes) == 0:
		return "", notNow(nil, "this claw back has moved nothing that is not moved back already")
	}
	return s.orderClaw(r, c, clawback.Order{Of: h.ID, Reason: reason}, boxes)
}
