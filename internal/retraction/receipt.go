package retraction

import (
	"context"
	"errors"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/protocol"
)

// Anybody can write receipts, and a timeline forgets its oldest lines.
const (
	maxNoted    = 3  // receipts of one recipient that a timeline takes
	maxReceipts = 50 // of all recipients
)

// Receipts notes in the timeline of a message that was recalled after its release what recipients' programs say of it.
// All are about one message.
func (x *Retractor) Receipts(ctx context.Context, all []protocol.Receipt) error {
	holds, err := x.store.RequestsOf(ctx, all[0].MessageID)
	if err != nil {
		return err
	}
	by := map[string][]protocol.Receipt{}
	for _, r := range all {
		by[holdstore.Fold(r.Recipient)] = append(by[holdstore.Fold(r.Recipient)], r)
	}
	for _, h := range holds {
		for n, to := range h.Recipients {
			if h.State != holdstore.Released || h.Results[n].Outcome == holdstore.Sent ||
				h.Results[n].Outcome == holdstore.Failed {
				continue
			}
			for _, r := range by[holdstore.Fold(to.Address)] {
				if err := x.noteReceipt(ctx, h, to.Address, r.Disposition+", says a receipt that nobody vouches for"); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// noteReceipt notes what is new.
func (x *Retractor) noteReceipt(ctx context.Context, h *holdstore.Hold, recipient, says string) error {
	noted, all := 0, 0
	for _, e := range h.Timeline {
		if e.Verb != "receipt" {
			continue
		}
		if all++; all >= maxReceipts {
			return nil
		}
		if e.By != recipient {
			continue
		}
		if noted++; noted >= maxNoted || e.Detail == says {
			return nil
		}
	}
	e := holdstore.Event{Verb: "receipt", By: recipient, Detail: says}
	h.Timeline = append(h.Timeline, e) // the next receipt of the same mail counts it
	err := x.store.Note(ctx, h.ID, e)
	if errors.Is(err, holdstore.ErrNotFound) {
		return nil
	}
	return err
}
