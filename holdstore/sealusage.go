package holdstore

import (
	"context"

	"github.com/redis/go-redis/v9"
)

// SealUsage counts the holds whose content is still kept by the ID of the key that they are sealed with; "" counts
// those that are not sealed. It looks at all of them; progress may be nil.
func (s *Store) SealUsage(ctx context.Context, progress func(looked, of int)) (map[string]int, error) {
	shards, err := s.visible(ctx)
	if err != nil { // what can't be seen may be sealed with any key
		return nil, err
	}
	src, err := s.narrowest(ctx, Query{States: []State{Held, Releasing, Recalled}}, shards)
	if err != nil {
		return nil, err
	}
	usage, looked := map[string]int{}, 0
	err = s.pages(ctx, src, func(ids []string) (bool, error) {
		if looked += len(ids); progress != nil {
			progress(looked, max(src.count, looked))
		}
		return true, s.countSealed(ctx, ids, usage)
	})
	return usage, err
}

func (s *Store) countSealed(ctx context.Context, ids []string, usage map[string]int) error {
	holds, _, err := s.loadEach(ctx, ids)
	if err != nil {
		return err
	}
	pipe := s.redis.Pipeline()
	var beginnings []*redis.StringCmd
	for _, h := range holds {
		beginnings = append(beginnings, pipe.GetRange(ctx, s.of(h.ID).chunk(h.ID, h.staging, 0), 0, keyIDSize))
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return explain(err)
	}
	for _, b := range beginnings {
		if b.Val() != "" { // a recalled hold whose content has expired
			usage[sealedWith(b.Val())]++
		}
	}
	return nil
}
