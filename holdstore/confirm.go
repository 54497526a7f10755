package holdstore

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/recall-milter/recall-milter/holdstore/internal/nodes"
)

const (
	// how long an identical message is taken for a retry, when no confirmation comes
	unconfirmedFor  = 4 * time.Hour
	confirmBatch    = 256                    // keeps one script short
	confirmsWaiting = 100_000                // of a shard, with Redis away; beyond, the oldest are left to expire
	confirmAlone    = 100 * time.Millisecond // so long a confirmation waits for a commit to go with
	confirmPause    = time.Second            // after a failure
)

// confirmation says that a client has heard of its hold: an identical message is no retry of it from now on, but a new
// one.
type confirmation struct{ id, print string }

// confirmations wait here for the next commit of their shard, or for the background loop. An identical message is of
// the same shard, and meets a store that knows of them.
type confirmations struct {
	mu sync.Mutex
	of map[nodes.Shard][]confirmation
	// those that were taken, until Redis has them: whoever overtakes them takes them along
	away map[nodes.Shard][]confirmation
	bell chan struct{}
}

func (c *confirmations) add(at nodes.Shard, some []confirmation) {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := append(c.of[at], some...)
	c.of[at] = all[max(0, len(all)-confirmsWaiting):]
}

// take returns what waits, as fresh, and before it what other scripts have on their way: a script that overtakes them
// must know it as well. Confirming twice is harmless.
func (c *confirmations) take(at nodes.Shard, most int) (all, fresh []confirmation) {
	c.mu.Lock()
	defer c.mu.Unlock()
	waiting := c.of[at]
	n := min(len(waiting), most)
	if c.of[at] = waiting[n:]; n == len(waiting) {
		delete(c.of, at)
	}
	fresh = waiting[:n:n]
	all = append(slices.Clone(c.away[at]), fresh...)
	c.away[at] = all[:len(all):len(all)]
	return all, fresh
}

// back ends a take: after an error its confirmations wait again.
func (c *confirmations) back(at nodes.Shard, fresh []confirmation, err error) {
	if len(fresh) == 0 {
		return
	}
	c.mu.Lock()
	taken := func(x confirmation) bool { return slices.Contains(fresh, x) }
	c.away[at] = slices.DeleteFunc(slices.Clone(c.away[at]), taken)
	if len(c.away[at]) == 0 {
		delete(c.away, at)
	}
	c.mu.Unlock()
	if err != nil {
		c.add(at, fresh)
		c.ring()
	}
}

func (c *confirmations) ring() {
	select {
	case c.bell <- struct{}{}:
	default:
	}
}

// Confirm says that the MTA has read the DISCARD for this hold: an identical message is a new message from now on.
// Never blocks: it goes with the next commit, or soon in the background.
func (s *Store) Confirm(r Committed) {
	s.confirmed.add(s.nodes.Of(r.ID), []confirmation{{r.ID, r.print}})
	s.confirmed.ring()
}

// confirming is the part of scripts that forgets the fingerprints of confirmed holds.
var confirming = lua("confirm")

// confirmScript: ARGV as confirming wants. Output: "ok".
var confirmScript = drain(confirming + `
confirm(1)
return 'ok'
`)

func (s *Store) confirmNow(ctx context.Context, at nodes.Shard, some []confirmation) error {
	return s.nodes.Run(ctx, at, confirmScript, confirmArgs(some)...).Err()
}

func confirmArgs(some []confirmation) []any {
	args := []any{len(some)}
	for _, c := range some {
		args = append(args, c.print, c.id)
	}
	return args
}

// confirmLoop sends what no commit took along, until Close, and then what is left, once.
func (s *Store) confirmLoop() {
	for s.ctx.Err() == nil {
		select {
		case <-s.confirmed.bell:
		case <-s.ctx.Done():
		}
		pause(s.ctx, confirmAlone)
		if s.nodes.Guard("the confirming of holds, which is tried again", s.confirmRest) != nil {
			pause(s.ctx, confirmPause)
		}
	}
	_ = s.nodes.Guard("the last confirming of holds", s.confirmRest)
}

// confirmRest sends what waits in all shards. Its error says that some of it was not sent.
func (s *Store) confirmRest() (failed error) {
	ctx, cancel := context.WithTimeout(context.Background(), fenceTime)
	defer cancel()
	for _, at := range s.nodes.Shards {
		for {
			some, fresh := s.confirmed.take(at, confirmBatch)
			if len(fresh) == 0 {
				break
			}
			err := s.confirmNow(ctx, at, some)
			if s.confirmed.back(at, fresh, err); err != nil {
				failed = err
				break
			}
		}
	}
	return failed
}
