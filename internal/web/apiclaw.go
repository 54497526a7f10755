package web

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/clawback"
	"github.com/recall-milter/recall-milter/internal/criteria"
)

// clawAPI adds the operations by which operators take delivered messages out of mailboxes.
func (s *Server) clawAPI(mux *http.ServeMux) {
	mux.HandleFunc("GET /api/v1/delivered", s.asked(s.forOperators(s.apiDelivered)))
	mux.HandleFunc("GET /api/v1/claw-backs", s.asked(s.forOperators(s.apiClawBacks)))
	mux.HandleFunc("POST /api/v1/claw-backs", s.asked(s.forOperators(s.apiClawBack)))
	mux.HandleFunc("GET /api/v1/claw-backs/{id}", s.asked(s.forOperators(s.apiClawed)))
	mux.HandleFunc("POST /api/v1/claw-backs/{id}/undo", s.asked(s.forOperators(s.apiUndoClaw)))
}

// forOperators makes an operation for operators of one. Others hear that they may not, and an act that they tried is in
// the trail.
func (s *Server) forOperators(do func(*http.Request, *caller) (any, error)) func(*http.Request, *caller) (any, error) {
	return func(r *http.Request, c *caller) (any, error) {
		if c.may(ScopeAdmin) {
			return do(r, c)
		}
		if r.Method != http.MethodGet {
			if err := s.store.Audit(r.Context(), "web refused", "", c.act(""), "a claw back"); err != nil {
				return nil, err
			}
		}
		return nil, forbidden("only operators, and tokens of the scope admin, may do that")
	}
}

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

// clawMessage is one message that came in.
type clawMessage struct {
	MessageID string    `json:"message_id"`
	Author    string    `json:"author"`
	Sender    string    `json:"sender"`
	Subject   string    `json:"subject"`
	CameIn    time.Time `json:"came_in"`
	Mailboxes []string  `json:"mailboxes"`
}

// clawFound is what a query selects.
type clawFound struct {
	Messages  []clawMessage `json:"messages"`
	Apart     []clawMessage `json:"apart"`
	Mailboxes int           `json:"mailboxes"`
	WithApart int           `json:"with_apart"`
	Unread    int           `json:"unreadable,omitempty"`
	Missing   string        `json:"missing,omitempty"`
}

func clawMessages(all []clawback.Message) []clawMessage {
	out := []clawMessage{}
	for _, m := range all[:min(len(all), clawShown)] {
		out = append(out, clawMessage{m.MessageID, m.Author, m.Sender, m.Subject, m.At, m.Recipients})
	}
	return out
}

func (s *Server) apiDelivered(r *http.Request, _ *caller) (any, error) {
	values := r.URL.Query()
	for name := range values {
		switch name {
		case "message_id", "sender", "recipient", "subject", "since", "until":
		default:
			return nil, invalid(http.StatusBadRequest, "unknown parameter "+strconv.Quote(name))
		}
	}
	f, err := s.delivered(r, clawQueryOf(values), http.StatusBadRequest)
	if err != nil {
		return nil, err
	}
	return clawFound{clawMessages(f.Messages), clawMessages(f.Apart), len(f.Mailboxes(false)), len(f.Mailboxes(true)),
		f.Unread, f.missing}, nil
}

func clawQueryOf(values url.Values) clawQuery {
	return clawQuery{values["message_id"], values.Get("sender"), values.Get("recipient"), values.Get("subject"),
		values.Get("since"), values.Get("until")}
}

// foundMail is what was found, and why there may be more; empty: there isn't.
type foundMail struct {
	*clawback.Found
	missing string
}

func (s *Server) delivered(r *http.Request, q clawQuery, wrong int) (foundMail, error) {
	d, err := q.read(s.now(), wrong)
	if err != nil {
		return foundMail{}, err
	}
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

// clawWish is the body of an order.
type clawWish struct {
	clawQuery
	To        string `json:"to"`
	Delete    bool   `json:"delete"`
	Apart     bool   `json:"apart"`
	DryRun    bool   `json:"dry_run"`
	Mailboxes int    `json:"mailboxes"`
	Reason    string `json:"reason"`
}

func (s *Server) apiClawBack(r *http.Request, c *caller) (any, error) {
	var w clawWish
	if err := readBody(r, &w); err != nil {
		return nil, err
	}
	switch {
	case len(w.Reason) > reasonMost:
		return nil, errReason
	case w.Delete && w.To != "", len(w.To) > 500:
		return nil, invalid(http.StatusUnprocessableEntity, "give to or delete; to is the name of a folder")
	case !s.o.Mailboxes:
		return nil, errNoMailboxes
	}
	f, err := s.delivered(r, w.clawQuery, http.StatusUnprocessableEntity)
	if err != nil {
		return nil, err
	}
	boxes := f.Mailboxes(w.Apart)
	if len(boxes) != w.Mailboxes || len(boxes) == 0 {
		return nil, notNow(nil, fmt.Sprintf("%s match, and mailboxes says %d: nothing was ordered; look again",
			clawback.Count(len(boxes), "mailbox", "mailboxes"), w.Mailboxes))
	}
	return s.orderClaw(r, c, clawback.Order{Folder: w.To, Delete: w.Delete, DryRun: w.DryRun, Reason: w.Reason}, boxes)
}

var errNoMailboxes = notNow(nil, "no mailbox can be reached: [inbound.mailbox] is not set in the config")

// orderClaw writes an order, and says what it is.
func (s *Server) orderClaw(r *http.Request, c *caller, o clawback.Order, boxes []clawback.Mailbox) (any, error) {
	by := c.act(o.Reason)
	o.By, o.From = by.By, by.From
	id := s.store.NewClawID()
	if err := clawback.Start(r.Context(), s.store, id, o, boxes, s.o.ClawKeep); err != nil {
		return nil, err
	}
	return s.clawHead(r, id)
}

// clawLine is a claw back in a list.
type clawLine struct {
	ID        string    `json:"id"`
	At        time.Time `json:"at"`
	Ended     time.Time `json:"ended,omitzero"`
	By        string    `json:"by"`
	Reason    string    `json:"reason,omitempty"`
	To        string    `json:"to,omitempty"`
	Delete    bool      `json:"delete,omitempty"`
	DryRun    bool      `json:"dry_run,omitempty"`
	Undoes    string    `json:"undoes,omitempty"`
	Mailboxes int       `json:"mailboxes"`
	Left      int       `json:"left"`
}

func clawLineOf(h *holdstore.ClawBack) (l clawLine, err error) {
	var o clawback.Order
	err = h.Read(&o)
	return clawLine{h.ID, h.At, h.Ended, o.By, o.Reason, o.Folder, o.Delete, o.DryRun, o.Of, h.Mailboxes, h.Left}, err
}

func (s *Server) clawHead(r *http.Request, id string) (any, error) {
	h, err := s.store.ClawBack(r.Context(), id)
	if err != nil {
		return nil, err
	}
	return clawLineOf(h)
}

func (s *Server) apiClawBacks(r *http.Request, _ *caller) (any, error) {
	all, err := s.store.ClawBacks(r.Context(), clawShown)
	out := struct {
		ClawBacks []clawLine `json:"claw_backs"`
		Missing   string     `json:"missing,omitempty"`
	}{ClawBacks: []clawLine{}}
	if errors.Is(err, holdstore.ErrPartial) {
		out.Missing = "a part of the store is away"
	} else if err != nil {
		return nil, err
	}
	for _, h := range all {
		if l, err := clawLineOf(h); err == nil { // else its seal key is missing
			out.ClawBacks = append(out.ClawBacks, l)
		}
	}
	return out, nil
}

// clawOutcome is what came of one mailbox.
type clawOutcome struct {
	Mailbox   string `json:"mailbox"`
	MessageID string `json:"message_id"`
	Outcome   string `json:"outcome"`
	Detail    string `json:"detail,omitempty"`
}

func (s *Server) apiClawed(r *http.Request, _ *caller) (any, error) {
	h, err := s.store.ClawBack(r.Context(), r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	from := 0
	if text := r.URL.Query().Get("cursor"); text != "" {
		if from, err = strconv.Atoi(text); err != nil || from < 0 {
			return nil, invalid(http.StatusBadRequest, "the value of cursor is not valid")
		}
	}
	out := struct {
		clawLine
		Outcomes []clawOutcome `json:"outcomes"`
		Next     string        `json:"next"`
	}{Outcomes: []clawOutcome{}}
	if out.clawLine, err = clawLineOf(h); err != nil {
		return nil, err
	}
	err = clawback.OutcomesFrom(r.Context(), s.store, h, from, clawShown, func(o clawback.Outcome) error {
		out.Outcomes = append(out.Outcomes, clawOutcome{o.Mailbox.Recipient, o.Mailbox.MessageID, o.Outcome(),
			o.Result.Detail})
		return nil
	})
	if next := from + clawShown; next < h.Mailboxes {
		out.Next = strconv.Itoa(next)
	}
	return out, err
}

func (s *Server) apiUndoClaw(r *http.Request, c *caller) (any, error) {
	var t told
	if err := readBody(r, &t); err != nil {
		return nil, err
	}
	if len(t.Reason) > reasonMost {
		return nil, errReason
	}
	h, err := s.store.ClawBack(r.Context(), r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	boxes, err := clawback.Moved(r.Context(), s.store, h)
	switch {
	case err != nil:
		return nil, err
	case len(boxes) == 0:
		return nil, notNow(nil, "this claw back has moved nothing that could be moved back")
	}
	return s.orderClaw(r, c, clawback.Order{Of: h.ID, Reason: t.Reason}, boxes)
}
