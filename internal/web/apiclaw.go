package web

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/clawback"
)

// clawAPI adds the operations by which operators take delivered messages out of mailboxes.
func (s *Server) clawAPI(mux *http.ServeMux) {
	mux.HandleFunc("GET /api/v1/delivered", s.asked(s.forOperators(s.apiDelivered), "message_id...", "sender",
		"recipient", "subject", "since", "until"))
	mux.HandleFunc("GET /api/v1/claw-backs", s.asked(s.forOperators(s.apiClawBacks)))
	mux.HandleFunc("POST /api/v1/claw-backs", s.asked(s.forOperators(s.apiClawBack)))
	mux.HandleFunc("GET /api/v1/claw-backs/{id}", s.asked(s.forOperators(s.apiClawed), "cursor"))
	mux.HandleFunc("POST /api/v1/claw-backs/{id}/undo", s.asked(s.forOperators(s.apiUndoClaw)))
}

// forOperators makes an operation for operators of one. Others hear that they may not, and an act that they tried is in
// the trail.
func (s *Server) forOperators(do operation) operation {
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
	f, err := s.delivered(r, clawQueryOf(r.URL.Query()), http.StatusBadRequest)
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

// clawWish is the body of an order.
type clawWish struct {
	clawQuery
	To        string `json:"to"`
	Delete    bool   `json:"delete"`
	Apart     bool   `json:"apart"`
	Changed   bool   `json:"changed"`
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
	case w.Delete && w.To != "", len(w.To) > folderMost:
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
	o := clawback.Order{Folder: w.To, Delete: w.Delete, Changed: w.Changed, DryRun: w.DryRun, Reason: w.Reason}
	id, err := s.orderClaw(r, c, o, boxes)
	if err != nil {
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
	Changed   bool      `json:"changed,omitempty"`
	DryRun    bool      `json:"dry_run,omitempty"`
	Undoes    string    `json:"undoes,omitempty"`
	Mailboxes int       `json:"mailboxes"`
	Left      int       `json:"left"`
}

func clawLineOf(h *holdstore.ClawBack) (l clawLine, err error) {
	var o clawback.Order
	err = h.Read(&o)
	return clawLine{h.ID, h.At, h.Ended, o.By, o.Reason, o.Folder, o.Delete, o.Changed, o.DryRun, o.Of, h.Mailboxes,
		h.Left}, err
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

func clawOutcomeOf(o clawback.Outcome) clawOutcome {
	return clawOutcome{o.Mailbox.Recipient, o.Mailbox.MessageID, o.Outcome(), o.Result.Detail}
}

func (s *Server) apiClawed(r *http.Request, _ *caller) (any, error) {
	h, err := s.store.ClawBack(r.Context(), r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	from := 0
	if text := r.URL.Query().Get("cursor"); text != "" {
		if from, err = strconv.Atoi(text); err != nil || from < 0 {
			return nil, wrongValue("cursor")
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
		out.Outcomes = append(out.Outcomes, clawOutcomeOf(o))
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
	id, err := s.undoClaw(r, c, t.Reason)
	if err != nil {
		return nil, err
	}
	return s.clawHead(r, id)
}
