package holdstore

import (
	"context"
	"slices"

	"github.com/redis/go-redis/v9"
)

// SealUsage counts the holds whose content is still kept by the ID of the key that they are sealed with; "" counts
// those that are not sealed.
func (s *Store) SealUsage(ctx context.Context) (map[string]int, error) {
	usage := map[string]int{}
	for _, state := range []State{Held, Releasing, Recalled} {
		ids, err := s.inState(ctx, state)
		if err != nil {
			return nil, err
		}
		for page := range slices.Chunk(ids, findPage) {
			if err := s.countSealed(ctx, page, usage); err != nil {
				return nil, err
			}
		}
	}
	return usage, nil
}

func (s *Store) countSealed(ctx context.Context, ids []string, usage map[string]int) error {
	holds, err := s.load(ctx, ids)
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
