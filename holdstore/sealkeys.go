package holdstore

import (
	"context"

	"github.com/redis/go-redis/v9"

	"github.com/recall-milter/recall-milter/holdstore/internal/nodes"
	"github.com/recall-milter/recall-milter/holdstore/internal/seal"
)

// KeyID is the name of a seal key: it tells nothing about the key.
func KeyID(key []byte) string { return seal.KeyID(key) }

// ParseKeys reads the text of a key file: keys of 32 bytes in base64, one a line; lines with # are comments.
func ParseKeys(text string) ([][]byte, error) { return seal.ParseKeys(text) }

// UseKeys replaces Options.SealKeys while the store is in use: the first seals from now on, all open.
func (s *Store) UseKeys(keys [][]byte) error { return s.seal.Use(keys) }

// SealUsage counts the holds whose content is still kept by the ID of the key that they are sealed with; "" counts
// those that are not sealed. It looks at all of them; progress may be nil.
func (s *Store) SealUsage(ctx context.Context, progress func(looked, of int)) (map[string]int, error) {
	shards, err := s.nodes.Visible(ctx)
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
	pipe := s.nodes.Client.Pipeline()
	var beginnings []*redis.StringCmd
	for _, h := range holds {
		beginnings = append(beginnings, pipe.GetRange(ctx, pieceKey(s.nodes.Of(h.ID), h.ID, h.staging, 0), 0,
			seal.KeySize))
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nodes.Explain(err)
	}
	for _, b := range beginnings {
		if b.Val() != "" { // a recalled hold whose content has expired
			usage[seal.KeyOf(b.Val())]++
		}
	}
	return nil
}
