package retraction

import (
	"context"
	"errors"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/protocol"
)

// maxNoted is how many receipts of one recipient a timeline takes: anybody can write them, and it forgets its oldest
// lines.
const maxNoted = 3

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
	noted := 0
	for _, e := range h.Timeline {
		if e.Verb != "receipt" || e.By != recipient {
			continue
		}
		if noted++; noted >= maxNoted || e.Detail == says {
			return nil
		}
	}
	err := x.store.Note(ctx, h.ID, holdstore.Event{Verb: "receipt", By: recipient, Detail: says})
	if errors.Is(err, holdstore.ErrNotFound) {
		return nil
	}
	return err
}
