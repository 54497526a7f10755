package holdstore

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// partialScript takes a hold back for some recipients: recallonly.lua.
var partialScript = drain(takeback + lua("recallonly"))

// RecallOnly takes a hold back for the recipients with these addresses (in any case); the others still get it.
// ErrTooLate: all of them were sent, or are being sent. ErrNotNow: recalled already. ErrNotFound: no such hold, or
// none of its recipients has such an address.
func (s *Store) RecallOnly(ctx context.Context, id string, addresses []string, a Actor) (h *Hold, err error) {
	for range partialTries { // recalls of others change its ticket
		if h, err = s.recallOnly(ctx, id, addresses, a); !errors.Is(err, errChanged) {
			return h, err
		}
	}
	return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
}

const partialTries = 20

func (s *Store) recallOnly(ctx context.Context, id string, addresses []string, a Actor) (*Hold, error) {
	h, err := s.Get(ctx, id)
	if err != nil {
		return nil, err
	}
	detail := cut("only for "+strings.Join(addresses, " "), maxAnswer)
	args := []any{s.opt.RecallRetention.Milliseconds(), s.recordTime().Milliseconds(), detail}
	indexes := h.indexes(addresses)
	if len(indexes) == 0 {
		return nil, &notDone{h.ID, ErrNotFound, "none of its recipients is " + strings.Join(addresses, " or ")}
	}
	next, was, err := s.ticketWithout(ctx, h, indexes)
	if err != nil {
		return nil, err
	}
	return s.act(ctx, partialScript, "recalled", h.ID, detail, a, append(append(args, next, was), indexes...)...)
}

// indexes lists the recipients with these addresses.
func (h *Hold) indexes(addresses []string) (indexes []any) {
	wanted := NewAddresses(addresses)
	for n, r := range h.Recipients {
		if wanted.Has(r.Address) {
			indexes = append(indexes, n)
		}
	}
	return indexes
}
