package retraction

import (
	"context"
	"fmt"
	"slices"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/post"
	"github.com/recall-milter/recall-milter/internal/protocol"
)

// Whoever got a request can write such answers, and a timeline forgets its oldest lines.
const (
	maxPassedOn = 20  // lines of a timeline
	maxAddress  = 320 // bytes
)

// passedOn takes what another domain than the one that was asked says of its own users: a list or a forwarder has
// passed the request on, and nobody else knows its ID. It is noted, and is no answer of whoever was asked. A recipient
// who got the message directly as well has lost it when their own gateway says so: the request to them finds nothing
// then.
func (x *Retractor) passedOn(ctx context.Context, h *holdstore.Hold, asked holdstore.Request, s protocol.Status,
	domain string) error {
	var answers []holdstore.Answer
	heard := false
	for _, said := range s.Recipients {
		if holdstore.DomainOf(said.Address) != holdstore.Fold(domain) || len(said.Address) > maxAddress {
			continue
		}
		heard = true
		outcome, detail := resultOf(said)
		n := slices.IndexFunc(h.Recipients, func(p holdstore.Path) bool { return holdstore.Same(p.Address, said.Address) })
		switch {
		case n < 0:
			_, words := resultOf(protocol.StatusOf{Outcome: said.Outcome}) // the sender reads no words of a stranger
			if err := x.notePassedOn(ctx, h, said.Address, words, asked.Domain); err != nil {
				return err
			}
		case outcome == holdstore.Retracted && h.Results[n].Outcome != holdstore.TakenBack &&
			h.Results[n].Outcome != holdstore.Failed:
			answers = append(answers, holdstore.Answer{Recipient: n, Outcome: outcome, Detail: detail})
		}
	}
	switch {
	case !heard:
		return fmt.Errorf("%w: the request went to %s, and this names no user of %s", ErrUnasked, asked.Domain, domain)
	case len(answers) > 0:
		return x.store.AddAnswers(ctx, h.ID, "gateway of "+domain, answers)
	}
	return nil
}

// notePassedOn notes what is new; the sender hears of it also when their report has gone out.
func (x *Retractor) notePassedOn(ctx context.Context, h *holdstore.Hold, address, words, by string) error {
	e := holdstore.Event{Verb: post.PassedOn, By: address,
		Detail: words + ", says its own gateway, which has the request by way of " + by}
	noted := 0
	for _, old := range h.Timeline {
		if old.Verb != e.Verb {
			continue
		}
		if noted++; noted >= maxPassedOn || old.By == e.By && old.Detail == e.Detail {
			return nil
		}
	}
	h.Timeline = append(h.Timeline, e)
	return x.store.News(ctx, h.ID, e)
}
