package recall

import (
	"context"
	"errors"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/post"
)

// Person is somebody who has proven to the page or the API who they are. Their rights are those that their mail to the
// recall address would have, and more: a sign-in proves the login, so all that was sent with it is theirs, whatever its
// address is; an operator may act on all.
type Person struct {
	Login     string   // proven; empty: none
	Addresses []string // proven: mail to these reaches them
	Hold      string   // ID of the one hold that a signed link is for
	Operator  bool     // sees and acts on everybody's mail
}

// Outcome is what a recall by a person has brought.
type Outcome struct {
	Kind     string                  // recalled, partly, too-late, or not-found: none of its recipients was named
	Hold     *holdstore.Hold         // as it is now
	Results  []post.RecipientOutcome // of the recipients that were asked about
	Missing  []string                // addresses that were named and did not get the message
	AnswerBy time.Time               // until when other gateways may answer; zero: none was asked
}

// RecallFor recalls a hold that the caller has found not to be refused, for some recipients or (nil) for all. With ask,
// the gateways of recipients who have it already are asked to take it back, if it is from one of the site's own people;
// nobody is asked about other mail.
func (d *Desk) RecallFor(ctx context.Context, h *holdstore.Hold, only []string, ask bool, by holdstore.Actor) (Outcome,
	error) {
	after, err := d.takeBack(ctx, h, only, by)
	if errors.Is(err, holdstore.ErrNotFound) && only != nil {
		after, err = d.store.Get(ctx, h.ID)
		return Outcome{Kind: "not-found", Hold: after, Missing: only}, err
	}
	if err != nil {
		return Outcome{}, err
	}
	a := &answer{Answer: post.Answer{Done: []*holdstore.Hold{after}, Asked: by.Reason}}
	// setKind counts recipients; of those, some may have been recalled before.
	if a.setKind(only); only == nil && after.State != holdstore.Recalled {
		a.Kind = "too-late"
	}
	if ask && d.o.People.Has(&h.Submission) {
		if err := d.askGateways(ctx, a, by); err != nil {
			return Outcome{}, err
		}
	}
	return Outcome{a.Kind, a.Done[0], a.Outcomes(), a.Missing(), a.AnswerBy}, nil
}

// RefusedFor notes a recall that was refused in the audit trail.
func (d *Desk) RefusedFor(ctx context.Context, h *holdstore.Hold, why string, by holdstore.Actor) error {
	return d.store.Audit(ctx, "recall refused", h.ID, by, why)
}

// OfOurs says whether one of the site's own people has sent a hold.
func (d *Desk) OfOurs(h *holdstore.Hold) bool { return !h.Own() && d.o.People.Has(&h.Submission) }
