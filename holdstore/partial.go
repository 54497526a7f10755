package holdstore

import (
	"context"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"
)

// partialScript takes a hold back for some recipients; when nobody is left who would get it, the hold is recalled.
// ARGV: id, event, by, from, reason, content ms, record ms, detail, recipient indexes...
// Output: "ok", "none", "late", or the state that forbids it.
var partialScript = drain(back + `
local id, state = ARGV[1], get(ARGV[1], 'state')
if not state then return 'none' end
if state == 'recalled' then
  redis.call('HDEL', P .. 'h:' .. id, 'by')
  return state
end
if state ~= 'held' then return 'late' end
local taken, before = 0, 0
for i = 9, #ARGV do
  if pending(id, ARGV[i]) then
    set(id, 'r' .. ARGV[i], back(id))
    taken = taken + 1
  elseif wasBack(get(id, 'r' .. ARGV[i])) then
    before = before + 1
  end
end
if taken == 0 then return before > 0 and 'recalled' or 'late' end
set(id, 'np', open(id) - taken)
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
func (s *Store) RecallOnly(ctx context.Context, id string, addresses []string, a Act) (*Hold, error) {
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
	return s.act(ctx, partialScript, "recalled", h.ID, detail, a, append(args, indexes...)...)
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
	entries := s.entries("s", login)
	if sender != "" {
		entries = s.entries("s", names(sender)...)
	}
	is := func(h *Hold) bool {
		return (login == "" || Same(h.Login, login)) && (sender == "" || Same(h.Sender.Address, sender)) && (keep == nil || keep(h))
	}
	var all []*Hold
	for from := 0; from < latestMost; from += latestPage {
		ids, err := s.gather(ctx, func(pipe redis.Pipeliner, at keys) (found []*redis.StringSliceCmd) {
			for _, entry := range entries {
				found = append(found, pipe.ZRevRange(ctx, at.index(entry), int64(from), int64(from+latestPage-1)))
			}
			return found
		})
		if err != nil {
			return nil, err
		}
		holds, _, err := s.loadEach(ctx, ids) // a damaged record costs only itself; Fsck tells of it
		if err != nil {
			return nil, err
		}
		all = append(all, slices.DeleteFunc(holds, func(h *Hold) bool { return !is(h) })...)
		slices.SortStableFunc(all, func(a, b *Hold) int { return b.HeldAt.Compare(a.HeldAt) })
		all = all[:min(n, len(all))]
		// IDs sort by time: what is behind this page in any shard is older than the oldest that is wanted.
		if len(ids) == 0 || len(all) == n && slices.Max(ids) < all[n-1].ID {
			return all, nil
		}
	}
	return all, nil
}

const (
	latestPage = 100    // holds of an index entry that one round trip of Latest reads
	latestMost = 20_000 // and all of its round trips: many times what one sender has in the store
)
