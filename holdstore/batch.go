package holdstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/redis/go-redis/v9"
)

// Messages that end at the same moment are committed together: Redis runs one script, and syncs once, for all of them.
// Nobody waits for others: what comes while two batches are on their way goes with the next one.
const (
	batchMost    = 32        // holds of one batch: others wait a millisecond for it
	batchBytes   = 1 << 20   // of content in one batch: it ends with the message that passes this
	batchFlights = 2         // batches of a shard on their way at a time
	batchTime    = ioTimeout // for the reply
)

// errNotSent: the caller had no time to wait until its commit was sent.
var errNotSent = errors.New("it was not sent to redis")

// commit is one hold on its way into a batch.
type commit struct {
	args    []any  // of the commit script
	piece   string // name of the one piece of a small message, which is sent with it; or ""
	content []byte
	sent    bool // guarded by the line's mutex
	done    chan struct{}
	row     any // the script's answer
	err     error
}

// line are the commits of one shard that wait for the next batch.
type line struct {
	mu      sync.Mutex
	waiting []*commit
	flights int
}

// commit sends a hold with the next batch of its shard, and returns the script's answer for it.
func (s *Store) commit(ctx context.Context, at keys, c *commit) (row any, err error) {
	l := s.lines[at]
	c.done = make(chan struct{})
	l.mu.Lock()
	l.waiting = append(l.waiting, c)
	if l.flights < batchFlights {
		l.flights++
		s.work.Go(func() { s.fly(at, l) })
	}
	l.mu.Unlock()
	select {
	case <-c.done:
		return c.row, c.err
	case <-ctx.Done():
		if l.leave(c) {
			return nil, fmt.Errorf("%w: %w", errNotSent, ctx.Err())
		}
		return nil, ctx.Err()
	}
}

// leave takes a commit out of the line; false: it was sent.
func (l *line) leave(c *commit) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !c.sent {
		l.waiting = slices.DeleteFunc(l.waiting, func(other *commit) bool { return other == c })
	}
	return !c.sent
}

// next takes a batch out of the line; none: this flight has ended.
func (l *line) next() (batch []*commit) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for bytes := 0; len(batch) < min(len(l.waiting), batchMost) && (bytes < batchBytes || len(batch) == 0); {
		c := l.waiting[len(batch)]
		c.sent = true
		bytes += len(c.content)
		batch = append(batch, c)
	}
	l.waiting = slices.Delete(l.waiting, 0, len(batch))
	if len(batch) == 0 {
		l.flights--
	}
	return batch
}

// fly sends batches until nobody waits. It does not end with the context of one that waits: the others' outcome counts.
func (s *Store) fly(at keys, l *line) {
	for batch := l.next(); len(batch) > 0; batch = l.next() {
		confirmed := s.confirmed.take(at, confirmBatch)
		rows, err := s.sendBatch(at, batch, confirmed)
		if err != nil {
			s.confirmed.again(at, confirmed)
		}
		for n, c := range batch {
			if c.err = err; err == nil {
				c.row = rows[n]
			}
			close(c.done)
		}
	}
}

func (s *Store) sendBatch(at keys, batch []*commit, confirmed []confirmation) (rows []any, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), batchTime)
	defer cancel()
	args := []any{unconfirmedFor.Milliseconds(), s.opt.RecallRetention.Milliseconds(), s.recordTime().Milliseconds()}
	args = append(args, confirmArgs(confirmed)...)
	var pieces []redis.Cmder
	for _, c := range batch {
		args = append(args, c.args...)
		if c.piece != "" {
			pieces = append(pieces, redis.NewStatusCmd(ctx, "SET", c.piece, c.content))
		}
	}
	rows, err = s.firmlyAfter(ctx, at, pieces, commitScript, args...).Slice()
	if err == nil && len(rows) != len(batch) {
		err = fmt.Errorf("redis answered %d times for %d holds", len(rows), len(batch))
	}
	return rows, err
}
