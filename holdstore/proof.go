package holdstore

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/recall-milter/recall-milter/holdstore/internal/nodes"
	"github.com/recall-milter/recall-milter/holdstore/internal/seal"
)

// With a seal key, the record of a hold proves itself: whoever writes to Redis can't change who gets a message, whose it is,
// or that it was recalled. Behind its JSON, field p has a line "KEY PROOF TICKET". PROOF is a MAC over the ID and all that
// stands before it: the envelope, the Message-ID, and where the content is. TICKET is a MAC that lets the message be
// released. A recall takes it away, and nobody without the key can make another one; a restore does. A recall for some
// recipients puts a ticket for the others into the field "may", "INDEXES KEY TICKET": those it is not for.

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
// recipients but those that except(fields, hold) lists.
func (s *Store) mays(ctx context.Context, ids []string, except func(f map[string]string, h *Hold) []int) (string, error) {
	if !s.seal.Seals() || len(ids) == 0 {
		return "", nil
	}
	pipe := s.nodes.Client.Pipeline()
	replies := make([]*redis.MapStringStringCmd, len(ids))
	for n, id := range ids {
		replies[n] = pipe.HGetAll(ctx, holdKey(s.nodes.Of(id), id))
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return "", nodes.Explain(err)
	}
	mays := map[string]string{}
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
			return "", fmt.Errorf("hold %s: %w", id, err)
		}
		mays[id] = s.seal.Ticket(id, seal.ProofOf(f["p"]), except(f, h))
	}
	b, err := json.Marshal(mays)
	return string(b), err
}

// ticketing is the part of scripts that takes tickets away, and puts new ones there.
const ticketing = `
local function hasProof(id) return string.find(redis.call('HGET', P .. 'h:' .. id, 'p') or '', '\n[^\n]*\n') end
local function noTicket(id)
  local key = P .. 'h:' .. id
  local kept = string.match(redis.call('HGET', key, 'p') or '', '^([^\n]*\n[^\n]*\n%S+ %S+) %S+$')
  if kept then redis.call('HSET', key, 'p', kept) end
  redis.call('HDEL', key, 'may')
end
local function ticket(id, mays)
  local may = mays and mays ~= '' and cjson.decode(mays)[id]
  if may then set(id, 'may', may) end
end
`
