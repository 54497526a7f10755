package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/recall"
)

// one returns a hold that the caller may see. Another's, and one that there is not, are the same to them.
func (s *Server) one(ctx context.Context, c *caller, id string) (*holdstore.Hold, error) {
	if err := s.enter(ctx, c, []string{id}, nil, 0); err != nil {
		return nil, err
	}
	h, err := s.store.Get(ctx, id)
	if err != nil {
		return nil, err
	}
	if !s.desk.Sees(c.Person, h) {
		return nil, notFound()
	}
	return h, nil
}

// actsPer is how many acts one person may do in an hour.
const actsPer = 600

// mayAct finds the hold that somebody wants to act on, whatever the act is: whoever may not take a message back may not
// send it, keep it for longer or restore it either, as by mail. A refusal is in the audit trail.
func (s *Server) mayAct(ctx context.Context, c *caller, id, reason string) (*holdstore.Hold, error) {
	h, err := s.reach(ctx, c, id)
	if err != nil {
		return nil, err
	}
	if why := s.desk.Refuses(c.Person, h); why != "" {
		if err := s.desk.RefusedFor(ctx, h, why, c.act(reason)); err != nil {
			return nil, err
		}
		return nil, refused(why)
	}
	return h, nil
}

// reach finds a hold for an act: they see it, their token may act, and they keep the rate.
func (s *Server) reach(ctx context.Context, c *caller, id string) (*holdstore.Hold, error) {
	h, err := s.one(ctx, c, id)
	if err != nil {
		return nil, err
	}
	if !c.may(ScopeAct) {
		return nil, forbidden("this token may only read")
	}
	if c.Operator {
		return h, nil
	}
	n, err := s.store.Count(ctx, time.Hour, holdstore.Tally{Name: "web acts of " + c.name + c.Hold, By: 1})
	if err == nil && n[0] > actsPer {
		err = tooMany(3600)
	}
	return h, err
}

// wish is what somebody wants of a recall.
type wish struct {
	Reason string   `json:"reason"`
	Only   []string `json:"only"` // for these recipients; nil: for all
	Ask    bool     `json:"ask"`  // ask the gateways of recipients who have it already
}

// recall takes a hold back. What is too late is a problem (409) where this call asked nobody for it, also if all were
// asked before: it has the hold as it is, with each recipient's result. Where gateways were asked it is an answer (200)
// of kind too-late with AnswerBy.
func (s *Server) recall(ctx context.Context, c *caller, id string, w wish) (recall.Outcome, error) {
	h, err := s.mayAct(ctx, c, id, w.Reason)
	if err != nil {
		return recall.Outcome{}, err
	}
	out, err := s.desk.RecallFor(ctx, h, w.Only, w.Ask, c.act(w.Reason))
	switch {
	case err != nil:
		return out, err
	case out.Kind == "not-found":
		return out, invalid(http.StatusUnprocessableEntity, "the message was not sent to any of these addresses")
	case out.Kind == "too-late" && out.AnswerBy.IsZero():
		return out, tooLate(out.Hold)
	}
	return out, nil
}

// release makes a hold due now.
func (s *Server) release(ctx context.Context, c *caller, id, reason string) (*holdstore.Hold, error) {
	if _, err := s.mayAct(ctx, c, id, reason); err != nil {
		return nil, err
	}
	h, err := s.store.Release(ctx, id, c.act(reason))
	if errors.Is(err, holdstore.ErrTooLate) { // it is what was asked for
		return s.store.Get(ctx, id)
	}
	return s.done(ctx, c, id, h, "release-now", reason, err)
}

// extend holds a hold for longer: a sender's at most for as long as a sender may wish.
func (s *Server) extend(ctx context.Context, c *caller, id string, longer time.Duration, reason string) (
	*holdstore.Hold, error) {
	h, err := s.mayAct(ctx, c, id, reason)
	if err != nil {
		return nil, err
	}
	if most := h.HeldAt.Add(max(s.o.MaxGrace, h.Grace)); !c.Operator && h.Due.Add(longer).After(most) {
		limit := invalid(http.StatusUnprocessableEntity, fmt.Sprintf("a message can wait for %v at most, which is until %s",
			max(s.o.MaxGrace, h.Grace), most.UTC().Format(time.RFC3339)))
		limit.text = "did-limit"
		return nil, limit
	}
	h, err = s.store.Extend(ctx, id, longer, c.act(reason))
	return s.done(ctx, c, id, h, "extend", reason, err)
}

// restore undoes a recall, but that of an operator.
func (s *Server) restore(ctx context.Context, c *caller, id, reason string) (*holdstore.Hold, error) {
	before, err := s.mayAct(ctx, c, id, reason)
	if err != nil {
		return nil, err
	}
	if before.State == holdstore.Held { // it is what was asked for
		return before, nil
	}
	h, err := s.store.Restore(ctx, id, c.act(reason))
	if errors.Is(err, holdstore.ErrStopped) {
		return nil, refused(holdstore.ErrStopped.Error())
	}
	return s.done(ctx, c, id, h, "restore", reason, err)
}

// done logs an act, and says of one that was not possible how the hold is now.
func (s *Server) done(ctx context.Context, c *caller, id string, h *holdstore.Hold, verb, reason string, err error) (
	*holdstore.Hold, error) {
	if err == nil {
		s.log.Acted(h, verb, c.act(reason))
	}
	if !holdstore.NotDone(err) {
		return h, err
	}
	now, failed := s.store.Get(ctx, id)
	switch {
	case failed != nil:
		return nil, failed
	case errors.Is(err, holdstore.ErrTooLate) || now.State == holdstore.Released || now.State == holdstore.Releasing:
		return nil, tooLate(now)
	}
	return nil, notNow(now, holdstore.Reason(err))
}
