package holdstore

import (
	"context"
	"errors"
	"slices"

	"github.com/redis/go-redis/v9"

	"github.com/recall-milter/recall-milter/holdstore/internal/holdid"
	"github.com/recall-milter/recall-milter/holdstore/internal/nodes"
)

// weighedMost is how many records of one name are weighed, the newest.
const weighedMost = 2 * findPage

// Weight says how many bytes the records take that some REFs name, and the newest of an owner (as Latest has them),
// about. Holds that are read take some twenty times as much memory, so whoever reads many at a time asks first.
func (s *Store) Weight(ctx context.Context, refs []string, login, sender string, newest int) (bytes int64, err error) {
	var ids []string
	for _, ref := range refs {
		if id, ok := holdid.Parse(ref); ok {
			ids = append(ids, id)
		}
		_, entries := s.named(ref)
		some, err := s.newestOf(ctx, entries, weighedMost)
		if err != nil {
			return 0, err
		}
		ids = append(ids, some...)
	}
	if newest > 0 {
		some, err := s.newestOf(ctx, s.ownEntries(login, sender), newest)
		if err != nil {
			return 0, err
		}
		ids = append(ids, some...)
	}
	if len(ids) == 0 {
		return 0, nil
	}
	pipe := s.nodes.Client.Pipeline()
	var sizes []*redis.IntCmd
	for _, id := range distinct(ids) {
		sizes = append(sizes, pipe.HStrLen(ctx, holdKey(s.nodes.Of(id), id), "p"))
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return 0, nodes.Explain(err)
	}
	for _, size := range sizes {
		bytes += size.Val()
	}
	return bytes, nil
}

// newestOf lists the newest so many IDs of index entries. A server that is away has none.
func (s *Store) newestOf(ctx context.Context, entries []string, most int) ([]string, error) {
	ids, err := s.gather(ctx, func(pipe redis.Pipeliner, at nodes.Shard) (found []*redis.StringSliceCmd) {
		for _, entry := range entries {
			found = append(found, pipe.ZRevRange(ctx, indexKey(at, entry), 0, int64(most-1)))
		}
		return found
	})
	ids = distinct(ids)
	slices.Reverse(ids) // IDs sort by time
	if errors.Is(err, ErrPartial) {
		err = nil
	}
	return ids[:min(len(ids), most)], err
}
