package holdstore

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/recall-milter/recall-milter/holdstore/internal/holdid"
	"github.com/recall-milter/recall-milter/holdstore/internal/nodes"
)

// An index entry is a set of the numbers of IDs (holdid.Number): Redis keeps a set of numbers as one sorted piece of
// memory, 8 bytes for each, as long as it is no longer than set-max-intset-entries says. Several values share an entry,
// and so its key.

// indexPage is how many members of an entry one round trip reads.
const indexPage = 1000

// idSlack is by how much the moment of an ID and the one when its message was held differ at most: a message takes its
// time to come in, and staged pieces live that long.
const idSlack = stagedFor

// listed returns the IDs that index entries have in some shards, each once, in their order, which is by time.
func (s *Store) listed(ctx context.Context, shards []nodes.Shard, entries []string) (ids []string, err error) {
	var keys []string
	for _, at := range shards {
		for _, entry := range entries {
			keys = append(keys, indexKey(at, entry))
		}
	}
	cursors := make([]uint64, len(keys))
	for len(keys) > 0 {
		pipe := s.nodes.Client.Pipeline()
		pages := make([]*redis.ScanCmd, len(keys))
		for n, key := range keys {
			pages[n] = pipe.SScan(ctx, key, cursors[n], "", indexPage)
		}
		if _, err := pipe.Exec(ctx); err != nil {
			return nil, nodes.Explain(err)
		}
		left := 0
		for n, page := range pages {
			members, next := page.Val()
			for _, m := range members {
				if id, ok := holdid.Parse(holdid.OfNumber(m)); ok {
					ids = append(ids, id)
				}
			}
			if next != 0 {
				keys[left], cursors[left] = keys[n], next
				left++
			}
		}
		keys, cursors = keys[:left], cursors[:left]
	}
	return distinct(ids), nil
}

// listedAnywhere is listed for all shards; with ErrPartial it is what the servers have that answer.
func (s *Store) listedAnywhere(ctx context.Context, entries []string) (ids []string, err error) {
	shards, partly := s.nodes.Visible(ctx)
	if len(shards) == 0 {
		return nil, partly
	}
	ids, err = s.listed(ctx, shards, entries)
	return ids, cmp.Or(err, partly)
}

// heldWithin leaves of sorted IDs those whose messages may have been held since a moment and until another; zero: any.
func heldWithin(ids []string, since, until time.Time) []string {
	return slices.DeleteFunc(ids, func(id string) bool {
		at := holdid.Time(id)
		return !since.IsZero() && at.Before(since.Add(-idSlack)) || !until.IsZero() && at.After(until.Add(idSlack))
	})
}

// distinct sorts IDs, which is by time, and leaves each one once.
func distinct(ids []string) []string {
	slices.Sort(ids)
	return slices.Compact(ids)
}
