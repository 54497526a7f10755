package holdstore

import (
	"context"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/semaphore"

	"github.com/recall-milter/recall-milter/holdstore/internal/nodes"
)

// A record is as large as its envelope, megabytes for thousands of long addresses. So a search reads the sizes of many first,
// and then some at a time; what all searches of a client have under way is bounded together.
const (
	partBytes   = 4 << 20  // of the records that are read at a time
	searchBytes = 32 << 20 // of all searches
	partFew     = 4        // records that are read without asking for their size
)

// searches bounds what searches have under way.
type searches struct{ room *semaphore.Weighted }

// inParts calls read for some IDs after the other.
func (s *Store) inParts(ctx context.Context, ids []string, read func(some []string) error) error {
	for len(ids) > 0 {
		n, bytes, err := s.part(ctx, ids[:min(len(ids), findPage)])
		if err != nil {
			return err
		}
		if err := s.searches.room.Acquire(ctx, bytes); err != nil {
			return nodes.Explain(err)
		}
		err = read(ids[:n])
		s.searches.room.Release(bytes)
		if err != nil {
			return err
		}
		ids = ids[n:]
	}
	return nil
}

// part says how many of the first IDs are read at a time, and how many bytes that is.
func (s *Store) part(ctx context.Context, ids []string) (n int, bytes int64, err error) {
	if len(ids) <= partFew {
		return len(ids), partBytes, nil
	}
	pipe := s.nodes.Client.Pipeline()
	sizes := make([]*redis.IntCmd, len(ids))
	for i, id := range ids {
		sizes[i] = pipe.HStrLen(ctx, holdKey(s.nodes.Of(id), id), "p")
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return 0, 0, nodes.Explain(err)
	}
	for n < len(ids) && (n == 0 || bytes+sizes[n].Val() <= partBytes) {
		bytes += sizes[n].Val()
		n++
	}
	return n, min(bytes, searchBytes), nil
}
