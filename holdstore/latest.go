package holdstore

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/recall-milter/recall-milter/holdstore/internal/holdid"
	"github.com/recall-milter/recall-milter/holdstore/internal/nodes"
)

// Latest returns up to n holds in any state, the newest first, that are somebody's, and that keep lets stay (nil: all).
// Nobody else's mail takes their place: it looks at the newest 20,000 of that person, however many messages others have
// put into the same index. ErrMany: it found fewer than n among these, and there are older ones. ErrPartial: others of
// theirs are on servers that are away.
func (s *Store) Latest(ctx context.Context, who Whose, n int, keep func(*Hold) bool) ([]*Hold, error) {
	var all []*Hold
	looked := 0
	err := s.newestOf(ctx, who, 2*n, func(ids []string, more bool) (wants bool, err error) {
		_, _, err = s.loadKept(ctx, ids, func(h *Hold) bool { // a damaged record costs only itself; Fsck tells of it
			if who.sent(h) && (keep == nil || keep(h)) {
				all = append(all, h)
			}
			if len(all) > 2*n {
				all = newestFew(all, n)
			}
			return false
		})
		all = newestFew(all, n)
		switch looked += len(ids); {
		case err != nil:
			return false, err
		case len(all) == n:
			return false, nil
		case looked >= latestMost && more:
			return false, ErrMany
		}
		return true, nil
	})
	if err != nil && !errors.Is(err, ErrMany) && !errors.Is(err, ErrPartial) {
		return nil, err
	}
	return all, err
}

// LatestMost is how many holds of one person Latest looks at. Tests set latestMost lower.
const LatestMost = 20_000

var latestMost = LatestMost

// newestFew sorts holds, the newest first, and keeps the first n.
func newestFew(all []*Hold, n int) []*Hold {
	slices.SortStableFunc(all, func(a, b *Hold) int {
		return cmp.Or(b.HeldAt.Compare(a.HeldAt), strings.Compare(b.ID, a.ID))
	})
	clear(all[min(n, len(all)):])
	return all[:min(n, len(all))]
}

// newestPage is how many IDs are looked at in one round trip at most.
const newestPage = 500

// newestOf calls do with the IDs of somebody's holds, the newest first, until it says that it wants no more: first with
// those among so many, then with those of ever larger pages. more says whether older ones are left. It ends with
// ErrPartial where servers are away.
func (s *Store) newestOf(ctx context.Context, who Whose, first int,
	do func(ids []string, more bool) (wants bool, err error),
) error {
	all, partly := s.listedAnywhere(ctx, who.entries(s))
	if partly != nil && !errors.Is(partly, ErrPartial) {
		return partly
	}
	slices.Reverse(all)
	for page := min(max(first, 4), newestPage); len(all) > 0; page = min(4*page, newestPage) {
		n := min(page, len(all))
		ids, err := s.chargedTo(ctx, who, all[:n])
		if err != nil {
			return err
		}
		all = all[n:]
		if wants, err := do(ids, len(all) > 0); err != nil || !wants {
			return cmp.Or(err, partly)
		}
	}
	return partly
}

// chargedTo leaves the IDs of the holds for which somebody is charged.
func (s *Store) chargedTo(ctx context.Context, who Whose, ids []string) (some []string, err error) {
	if len(ids) == 0 {
		return nil, nil
	}
	charges, err := s.chargesOf(ctx, ids)
	if err != nil {
		return nil, err
	}
	for n, o := range charges {
		if who.charged(o) {
			some = append(some, ids[n])
		}
	}
	return some, nil
}

// chargesOf reads fields o of holds; "" where there is none.
func (s *Store) chargesOf(ctx context.Context, ids []string) (charges []string, err error) {
	pipe := s.nodes.Client.Pipeline()
	replies := make([]*redis.StringCmd, len(ids))
	for n, id := range ids {
		replies[n] = pipe.HGet(ctx, holdKey(s.nodes.Of(id), id), "o")
	}
	pipe.Exec(ctx) // what is on a shelf, or has no owner, has no such field
	var left []string
	for n, r := range replies {
		if r.Err() != nil && !errors.Is(r.Err(), redis.Nil) {
			return nil, nodes.Explain(r.Err())
		}
		if charges = append(charges, r.Val()); r.Val() == "" {
			left = append(left, ids[n])
		}
	}
	records, err := s.recordsOf(ctx, left)
	if err != nil {
		return nil, err
	}
	for n := range charges {
		if charges[n] == "" {
			charges[n], records = records[0]["o"], records[1:]
		}
	}
	return charges, nil
}

const (
	weighedMost = 2 * findPage // how many records of one name are weighed, the newest
	resultBytes = 128          // of a recipient's result, about

	unpackedTimes = 4 // so many bytes does a packed one become when it is read
)

// RecordBytes says how many bytes the records take that some REFs name, and the newest of somebody, about. Holds that
// are read take some twenty times as much memory, so whoever reads many at a time asks first. What is on servers that
// are away is not read.
func (s *Store) RecordBytes(ctx context.Context, refs []string, who Whose, newest int) (bytes int64, err error) {
	var ids []string
	for _, ref := range refs {
		if id, ok := holdid.Parse(ref); ok && s.nodes.Reach(ctx, s.nodes.Of(id)) == nil {
			ids = append(ids, id)
		}
		_, entries := s.named(ref)
		some, err := s.listedAnywhere(ctx, entries)
		if err != nil && !errors.Is(err, ErrPartial) {
			return 0, err
		}
		ids = append(ids, newestIDs(some, weighedMost)...)
	}
	if newest > 0 {
		var own []string
		err := s.newestOf(ctx, who, 2*newest, func(some []string, _ bool) (wants bool, err error) {
			own = append(own, some...)
			return len(own) < newest, nil
		})
		if err != nil && !errors.Is(err, ErrPartial) {
			return 0, err
		}
		ids = append(ids, newestIDs(own, newest)...)
	}
	if len(ids) == 0 {
		return 0, nil
	}
	pipe := s.nodes.Client.Pipeline()
	var records, packed, results []*redis.IntCmd
	for _, id := range distinct(ids) {
		key := holdKey(s.nodes.Of(id), id)
		records = append(records, pipe.HStrLen(ctx, key, "p"))
		packed, results = append(packed, pipe.HStrLen(ctx, key, "x")), append(results, pipe.HLen(ctx, key))
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return 0, nodes.Explain(err)
	}
	for n := range records {
		bytes += records[n].Val() + unpackedTimes*packed[n].Val() + resultBytes*results[n].Val()
		if results[n].Val() == 0 { // it is on a shelf, or gone
			bytes += shelvedBytes
		}
	}
	return bytes, nil
}

// newestIDs are the newest so many of some IDs, which sort by time.
func newestIDs(ids []string, most int) []string {
	ids = distinct(ids)
	slices.Reverse(ids)
	return ids[:min(len(ids), most)]
}
