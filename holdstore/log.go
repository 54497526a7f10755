package holdstore

import (
	"context"
	"errors"
	"iter"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// Entry is one line of the audit trail.
type Entry struct {
	Cursor string // opaque; pass to Log to go on behind it
	At     time.Time
	Verb   string
	ID     string
	Act
	Detail string
}

const (
	logPage = 500
	logWait = time.Second // a blocking read can't be interrupted: this is how late the end of ctx is noticed
)

// Log yields the audit trail behind a cursor ("" from the beginning), oldest first; with follow it waits for more until ctx ends.
func (s *Store) Log(ctx context.Context, cursor string, follow bool) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		if cursor == "" {
			cursor = "0-0"
		}
		block := time.Duration(-1) // do not wait
		for ctx.Err() == nil {
			streams, err := s.redis.XRead(ctx, &redis.XReadArgs{
				Streams: []string{s.keys.log(), cursor}, Count: logPage, Block: block,
			}).Result()
			if err != nil && !errors.Is(err, redis.Nil) {
				if ctx.Err() == nil {
					yield(Entry{}, explain(err))
				}
				return
			}
			if len(streams) == 0 || len(streams[0].Messages) == 0 {
				if !follow {
					return
				}
				block = logWait
				continue
			}
			for _, m := range streams[0].Messages {
				cursor = m.ID
				if !yield(entry(m), nil) {
					return
				}
			}
		}
	}
}

func entry(m redis.XMessage) Entry {
	text := func(name string) string { v, _ := m.Values[name].(string); return v }
	ms, _, _ := strings.Cut(m.ID, "-")
	return Entry{Cursor: m.ID, At: moment(ms), Verb: text("verb"), ID: text("id"), Detail: text("detail"),
		Act: Act{By: text("by"), From: text("from"), Reason: text("reason")}}
}
