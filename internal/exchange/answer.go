package exchange

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/mark"
	"github.com/recall-milter/recall-milter/internal/recall"
)

// ErrUnasked says that a status answers no request of ours.
var ErrUnasked = errors.New("no request of this gateway has this ID and domain")

// Ours says whether a status could be the answer to a request of ours; others are mail between people.
func (x *Exchange) Ours(s recall.Status) bool { return mark.IsToken(s.RequestID) }

// Told takes a status from a domain, which is authentic. Who asked no such thing of that domain gets ErrUnasked, and
// the attempt is in the audit trail.
func (x *Exchange) Told(ctx context.Context, s recall.Status, domain string) error {
	asked, err := x.store.Request(ctx, s.RequestID)
	by := holdstore.Act{By: "gateway of " + domain, From: "status mail"}
	switch {
	case errors.Is(err, holdstore.ErrNotFound):
		return x.unasked(ctx, "", by, "the request is unknown")
	case err != nil:
		return err
	case !strings.EqualFold(asked.Domain, domain):
		return x.unasked(ctx, asked.Hold, by, "the request went to "+asked.Domain)
	}
	h, err := x.store.Get(ctx, asked.Hold)
	if err != nil {
		return err
	}
	var answers []holdstore.Answer
	for _, n := range asked.Recipients {
		for _, said := range s.Recipients {
			if n < len(h.Recipients) && strings.EqualFold(said.Address, h.Recipients[n].Address) {
				outcome, detail := said.Result()
				answers = append(answers, holdstore.Answer{Recipient: n, Outcome: outcome, Detail: detail})
				break
			}
		}
	}
	if len(answers) == 0 {
		return x.unasked(ctx, h.ID, by, "it names none of the recipients")
	}
	return x.store.Answered(ctx, h.ID, by.By, answers)
}

// Receipt notes in the timeline of a message that was recalled after its release what a recipient's program says of it.
func (x *Exchange) Receipt(ctx context.Context, r recall.Receipt) error {
	holds, err := x.store.Resolve(ctx, r.MessageID)
	if err != nil {
		return err
	}
	for _, h := range holds {
		for n, to := range h.Recipients {
			late := h.State == holdstore.Released && h.Results[n].Outcome != holdstore.Sent && h.Results[n].Outcome != holdstore.Failed
			if !late || !strings.EqualFold(to.Address, r.Recipient) {
				continue
			}
			err := x.store.Note(ctx, h.ID, holdstore.Event{Verb: "receipt", By: to.Address, Detail: r.Disposition + ", says a receipt that nobody vouches for"})
			if err != nil && !errors.Is(err, holdstore.ErrNotFound) {
				return err
			}
		}
	}
	return nil
}

func (x *Exchange) unasked(ctx context.Context, id string, by holdstore.Act, why string) error {
	if err := x.store.Audit(ctx, "status refused", id, by, why); err != nil {
		return err
	}
	return fmt.Errorf("%w: %s", ErrUnasked, why)
}

// report tells the sender what came of a recall after the release.
func (x *Exchange) report(ctx context.Context, id string) error {
	h, err := x.store.NoAnswer(ctx, id)
	if errors.Is(err, holdstore.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if x.o.Reports == "never" || x.o.Reports == "failures" && recall.Good(h) {
		return nil
	}
	x.log.Reported(h)
	return x.post.Outcome(ctx, h)
}
