package holdstore

import (
	"context"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/recall-milter/recall-milter/holdstore/internal/holdid"
	"github.com/recall-milter/recall-milter/holdstore/internal/nodes"
)

const (
	weighedMost = 2 * findPage // how many records of one name are weighed, the newest
	resultBytes = 128          // of a recipient's result, about
)

// RecordBytes says how many bytes the records take that some REFs name, and the newest of somebody, about. Holds that
// are read take some twenty times as much memory, so whoever reads many at a time asks first.
func (s *Store) RecordBytes(ctx context.Context, refs []string, who Whose, newest int) (bytes int64, err error) {
	var ids []string
	for _, ref := range refs {
		if id, ok := holdid.Parse(ref); ok {
			ids = append(ids, id)
		}
		_, entries := s.named(ref)
		some, _, err := s.newestPage(ctx, entries, 0, weighedMost)
		if err != nil {
			return 0, err
		}
		ids = append(ids, newestIDs(some, weighedMost)...)
	}
	if newest > 0 {
		var own []string
		err := s.newestOf(ctx, who, 2*newest, func(some []string, _ time.Time) (more bool, err error) {
			own = append(own, some...)
			return len(own) < newest, nil
		})
		if err != nil {
			return 0, err
		}
		ids = append(ids, newestIDs(own, newest)...)
	}
	if len(ids) == 0 {
		return 0, nil
	}
	pipe := s.nodes.Client.Pipeline()
	var records, results []*redis.IntCmd
	for _, id := range distinct(ids) {
		key := holdKey(s.nodes.Of(id), id)
		records, results = append(records, pipe.HStrLen(ctx, key, "p")), append(results, pipe.HLen(ctx, key))
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return 0, nodes.Explain(err)
	}
	for n := range records {
		bytes += records[n].Val() + resultBytes*results[n].Val()
	}
	return bytes, nil
}

// newestIDs are the newest so many of some IDs, which sort by time.
func newestIDs(ids []string, most int) []string {
	ids = distinct(ids)
	slices.Reverse(ids)
	return ids[:min(len(ids), most)]
}
