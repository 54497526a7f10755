package holdstore

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/recall-milter/recall-milter/holdstore/internal/nodes"
	"github.com/recall-milter/recall-milter/holdstore/internal/seal"
)

// With a seal key a record proves itself, and a ticket lets the message be released: see package seal. A recall takes
// the ticket away, and nobody without the key can make another one; a restore does. A recall for some recipients puts a
// ticket for the others into the field "may".

// Proven says whether the record is one of ours: nil, or why nothing may be done on its account.
func (h *Hold) Proven() error { return h.doubt }

// permitted says whether a claimed hold may be released to the recipients that are pending.
func (s *Store) permitted(h *Hold, f map[string]string) error {
	if h.doubt != nil || !s.seal.Seals() {
		return h.doubt
	}
	without, err := s.seal.Without(h.ID, seal.ProofOf(f["p"]), f["may"])
	for _, n := range without {
		if n < len(h.Results) && h.Results[n].Outcome == Pending {
			err = fmt.Errorf("%w: recipient %d was recalled, and is pending again", ErrDamaged, n+1)
		}
	}
	return err
}

// mays makes tickets for holds that become held again, as JSON for a script; "" when nothing is sealed. Each is for all
// recipients but those that except(fields, hold) lists. A hold whose record proves nothing gets none; without says why.
func (s *Store) mays(
	ctx context.Context, ids []string, except func(f map[string]string, h *Hold) []int,
) (tickets string, without map[string]error, err error) {
	if !s.seal.Seals() || len(ids) == 0 {
		return "", nil, nil
	}
	pipe := s.nodes.Client.Pipeline()
	replies := make([]*redis.MapStringStringCmd, len(ids))
	for n, id := range ids {
		replies[n] = pipe.HGetAll(ctx, holdKey(s.nodes.Of(id), id))
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return "", nil, nodes.Explain(err)
	}
	mays, without := map[string]string{}, map[string]error{}
	for n, id := range ids {
		f := replies[n].Val()
		if len(f) == 0 {
			continue
		}
		h, err := s.parseHold(id, f)
		if err == nil {
			err = h.doubt
		}
		if err != nil {
			without[id] = err
			continue
		}
		mays[id] = s.seal.Ticket(id, seal.ProofOf(f["p"]), except(f, h))
	}
	b, err := json.Marshal(mays)
	return string(b), without, err
}

// ticketing is the part of scripts that takes tickets away and puts new ones there.
var ticketing = lua("ticket")

// ticketWithout makes the ticket of a hold for all recipients but those that were recalled before and these, and
// returns the field that it replaces. Both are "" when nothing is sealed.
func (s *Store) ticketWithout(ctx context.Context, h *Hold, indexes []any) (next, was string, err error) {
	if !s.seal.Seals() {
		if h.doubt != nil {
			return "", "", &notDone{h.ID, ErrNoKey,
				"without seal.key_file the others could not get it; recall it for all, or with the key"}
		}
		return "", "", nil
	}
	fields, err := s.nodes.Client.HMGet(ctx, holdKey(s.nodes.Of(h.ID), h.ID), "p", "may").Result()
	if err != nil {
		return "", "", nodes.Explain(err)
	}
	p, _ := fields[0].(string)
	was, _ = fields[1].(string)
	without, err := s.seal.Without(h.ID, seal.ProofOf(p), was)
	if err != nil || h.doubt != nil { // it can't be released to the others as it is
		return "", was, nil
	}
	for _, n := range indexes {
		without = append(without, n.(int))
	}
	return s.seal.Ticket(h.ID, seal.ProofOf(p), without), was, nil
}
