package holdstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/recall-milter/recall-milter/holdstore/internal/nodes"
	"github.com/recall-milter/recall-milter/holdstore/internal/seal"
)

// partialScript takes a hold back for some recipients; when nobody is left who would get it, the hold is recalled.
// ARGV: id, event, by, from, reason, content ms, record ms, detail, ticket for the others, the one that it was made from,
// recipient indexes...
// Output: "ok", "none", "late", "changed" (another recall was faster), or the state that forbids it.
var partialScript = drain(back + `
local id, state = ARGV[1], get(ARGV[1], 'state')
if not state then return 'none' end
if state == 'recalled' then
  redis.call('HDEL', P .. 'h:' .. id, 'by')
  return state
end
if state ~= 'held' then return 'late' end
if (get(id, 'may') or '') ~= ARGV[10] then return 'changed' end
local taken, before = 0, 0
for i = 11, #ARGV do
  if pending(id, ARGV[i]) then
    set(id, 'r' .. ARGV[i], back(id))
    taken = taken + 1
  elseif wasBack(get(id, 'r' .. ARGV[i])) then
    before = before + 1
  end
end
if taken == 0 then return before > 0 and 'recalled' or 'late' end
set(id, 'np', open(id) - taken)
noTicket(id)
if ARGV[9] ~= '' and open(id) > 0 then set(id, 'may', ARGV[9]) end
if open(id) == 0 then
  takenBack(id, ARGV[6], ARGV[7])
end
note(id, ARGV[2])
audit(id, 'recall', ARGV[3], ARGV[4], ARGV[5], ARGV[8])
return 'ok'
`)

// RecallOnly takes a hold back for the recipients with these addresses (in any case); the others still get it.
// ErrTooLate: all of them were sent, or are being sent. ErrNotNow: recalled already. ErrNotFound: no such hold, or
// none of its recipients has such an address.
func (s *Store) RecallOnly(ctx context.Context, id string, addresses []string, a Act) (h *Hold, err error) {
	for range partialTries { // recalls of others change its ticket
		if h, err = s.recallOnly(ctx, id, addresses, a); !errors.Is(err, errChanged) {
			return h, err
		}
	}
	return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
}

const partialTries = 20

// errChanged says that another recall of the same hold was faster.
var errChanged = errors.New("its ticket was replaced meanwhile")

func (s *Store) recallOnly(ctx context.Context, id string, addresses []string, a Act) (*Hold, error) {
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

// ticketWithout makes the ticket of a hold for all recipients but those that were recalled before and these, and returns
// the field that it replaces. Both are "" when nothing is sealed.
func (s *Store) ticketWithout(ctx context.Context, h *Hold, indexes []any) (next, was string, err error) {
	if !s.seal.Seals() {
		if h.doubt != nil {
			return "", "", &notDone{h.ID, ErrNoKey, "without seal.key_file the others could not get it; recall it for all, or with the key"}
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

// Latest returns up to n holds in any state, the newest first: those of a login, of an envelope sender, or with both those of
// that sender with that login. Of them it counts only those that keep lets stay (nil: all), so that others' mail with the
// same sender takes nobody's place. It looks at no more than the newest 20,000 of each index entry.
func (s *Store) Latest(ctx context.Context, login, sender string, n int, keep func(*Hold) bool) ([]*Hold, error) {
	entries := s.ownEntries(login, sender)
	is := func(h *Hold) bool {
		return (login == "" || Same(h.Login, login)) && (sender == "" || Same(h.Sender.Address, sender)) && (keep == nil || keep(h))
	}
	var all []*Hold
	for from := 0; from < latestMost; from += latestPage {
		ids, err := s.gather(ctx, func(pipe redis.Pipeliner, at nodes.Shard) (found []*redis.StringSliceCmd) {
			for _, entry := range entries {
				found = append(found, pipe.ZRevRange(ctx, indexKey(at, entry), int64(from), int64(from+latestPage-1)))
			}
			return found
		})
		if err != nil {
			return nil, err
		}
		newest := func() {
			slices.SortStableFunc(all, func(a, b *Hold) int { return b.HeldAt.Compare(a.HeldAt) })
			clear(all[min(n, len(all)):])
			all = all[:min(n, len(all))]
		}
		_, _, err = s.loadKept(ctx, ids, func(h *Hold) bool { // a damaged record costs only itself; Fsck tells of it
			if is(h) {
				all = append(all, h)
			}
			if len(all) > 2*n {
				newest()
			}
			return false
		})
		if err != nil {
			return nil, err
		}
		newest()
		// IDs sort by time: what is behind this page in any shard is older than the oldest that is wanted.
		if len(ids) == 0 || len(all) == n && slices.Max(ids) < all[n-1].ID {
			return all, nil
		}
	}
	return all, nil
}

// ownEntries are the index entries of what a login or an envelope sender has sent.
func (s *Store) ownEntries(login, sender string) []string {
	if sender != "" {
		return s.entries("s", names(sender)...)
	}
	return s.entries("s", login)
}

const latestPage = 100 // holds of an index entry that one round trip of Latest reads

// latestMost bounds all round trips of Latest: many times what one sender has in the store. Tests set it lower.
var latestMost = 20_000
