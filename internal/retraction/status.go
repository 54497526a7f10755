package retraction

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/mark"
	"github.com/recall-milter/recall-milter/internal/post"
	"github.com/recall-milter/recall-milter/internal/protocol"
)

// ErrUnasked says that a status answers no request of ours.
var ErrUnasked = errors.New("no request of this gateway has this ID and domain")

// MayAnswerUs says whether a status could be the answer to a request of ours; others are mail between people.
func (x *Retractor) MayAnswerUs(s protocol.Status) bool { return mark.IsToken(s.RequestID) }

// AcceptStatus takes a status from an address, whose domain is authentic. ErrUnasked: no such thing was asked of that
// domain, nor of one that may have passed it on, or it comes from somebody who was asked: a recipient can't answer for
// their gateway.
func (x *Retractor) AcceptStatus(ctx context.Context, s protocol.Status, from string) error {
	return x.acceptStatus(ctx, s, holdstore.DomainOf(from), from)
}

// acceptStatus is AcceptStatus; from is empty when this gateway itself says so.
func (x *Retractor) acceptStatus(ctx context.Context, s protocol.Status, domain, from string) error {
	asked, err := x.store.Request(ctx, s.RequestID)
	switch {
	case errors.Is(err, holdstore.ErrNotFound):
		return fmt.Errorf("%w: the request is unknown", ErrUnasked)
	case err != nil:
		return err
	}
	h, err := x.store.Get(ctx, asked.Hold)
	switch {
	case err != nil:
	case from != "" && askedOf(h, asked, from):
		err = fmt.Errorf("%w: %s was asked itself", ErrUnasked, from)
	case holdstore.Same(asked.Domain, domain):
		err = x.answered(ctx, h, asked, s, domain)
	default:
		err = x.passedOn(ctx, h, asked, s, domain)
	}
	if errors.Is(err, holdstore.ErrNotFound) {
		return fmt.Errorf("%w: the message is forgotten", ErrUnasked)
	}
	return err
}

// askedOf says whether an address is one of the recipients who were asked.
func askedOf(h *holdstore.Hold, asked holdstore.Request, address string) bool {
	return slices.ContainsFunc(asked.Recipients, func(n int) bool {
		return n < len(h.Recipients) && holdstore.Same(h.Recipients[n].Address, address)
	})
}

// answered writes what a status says of the recipients who were asked about.
func (x *Retractor) answered(ctx context.Context, h *holdstore.Hold, asked holdstore.Request, s protocol.Status,
	domain string) error {
	var answers []holdstore.Answer
	said := map[string]protocol.StatusOf{} // the first of each
	for _, r := range s.Recipients {
		if name := holdstore.Fold(r.Address); said[name].Address == "" {
			said[name] = r
		}
	}
	for _, n := range asked.Recipients {
		if n >= len(h.Recipients) {
			continue
		}
		if r, ok := said[holdstore.Fold(h.Recipients[n].Address)]; ok {
			outcome, detail := resultOf(r)
			answers = append(answers, holdstore.Answer{Recipient: n, Outcome: outcome, Detail: detail})
		}
	}
	if len(answers) == 0 {
		return fmt.Errorf("%w: it names none of the recipients", ErrUnasked)
	}
	return x.store.AddAnswers(ctx, h.ID, "gateway of "+domain, answers)
}

// resultOf turns the outcome of a status into the result that is kept of a recipient.
func resultOf(s protocol.StatusOf) (holdstore.Outcome, string) {
	detail := post.WordsOf(s.Outcome)
	if s.Diagnostic != "" {
		detail += ": " + s.Diagnostic
	}
	switch s.Outcome {
	case protocol.StatusRecalled, protocol.StatusRetracted, protocol.StatusReplaced, protocol.StatusMoved:
		return holdstore.Retracted, detail
	case protocol.StatusRead:
		return holdstore.AlreadyRead, detail
	case protocol.StatusNotFound:
		return holdstore.Unknown, detail
	}
	return holdstore.Refused, detail
}

// report tells the sender what came of a recall after the release; again: they were told before, and there is more to
// say. Only our own people are told: others have asked us for nothing.
func (x *Retractor) report(ctx context.Context, id string, again bool) error {
	h, err := x.store.StopWaiting(ctx, id)
	if errors.Is(err, holdstore.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := h.Proven(); err != nil {
		x.log.Trouble("hold "+h.ID+": its sender gets no report", err)
		return nil
	}
	// whoever heard of a failure hears how it ended
	if !x.o.People.Has(&h.Submission) || !x.post.Reports(h.Rule, post.NobodyHasIt(h) && !again) {
		return nil
	}
	x.log.Reported(h)
	return x.post.Report(ctx, h, again)
}
