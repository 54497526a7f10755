package holdstore

import (
	"context"
	"sync"
	"time"
)

const (
	unconfirmedFor  = 4 * time.Hour // how long an identical message is taken for a retry, when no confirmation comes
	confirmBatch    = 256           // keeps one script short
	confirmsWaiting = 100_000       // with Redis away; beyond, the oldest are left to expire
	confirmPause    = time.Second   // after a failure
)

// confirmations wait here for the background loop.
type confirmations struct {
	mu   sync.Mutex
	ids  []string
	bell chan struct{}
}

// Confirm says that the MTA has read the DISCARD for this hold: an identical message is a new message from now on.
// Never blocks: it is sent in batches in the background.
func (s *Store) Confirm(id string) {
	c := &s.confirmed
	c.mu.Lock()
	if c.ids = append(c.ids, id); len(c.ids) > confirmsWaiting {
		c.ids = c.ids[1:]
	}
	c.mu.Unlock()
	select {
	case c.bell <- struct{}{}:
	default:
	}
}

// confirmScript forgets the fingerprints of confirmed holds. ARGV: ids. Output: "ok".
var confirmScript = drain(`
for _, id in ipairs(ARGV) do
  local fp = get(id, 'fp')
  if fp and redis.call('GET', P .. 'u:' .. fp) == id then drop(P .. 'u:' .. fp) end
  if fp then redis.call('HDEL', P .. 'h:' .. id, 'fp') end
end
return 'ok'
`)

// confirmLoop sends confirmations until Close, and then what is left, once.
func (s *Store) confirmLoop() {
	for s.ctx.Err() == nil {
		select {
		case <-s.confirmed.bell:
		case <-s.ctx.Done():
		}
		for s.confirmSome() {
		}
	}
}

// tellConfirmed sends confirmations to their shards, and returns those that could not be sent.
func (s *Store) tellConfirmed(ctx context.Context, batch []string) (failed []string) {
	groups := s.grouped(batch)
	for _, at := range inOrder(groups) {
		var ids []any
		for _, id := range groups[at] {
			ids = append(ids, id)
		}
		if s.run(ctx, at, confirmScript, ids...).Err() != nil {
			failed = append(failed, groups[at]...)
		}
	}
	return failed
}

// confirmSome sends one batch and says whether it is worth to go on at once.
func (s *Store) confirmSome() bool {
	c := &s.confirmed
	c.mu.Lock()
	n := min(len(c.ids), confirmBatch)
	batch := append([]string{}, c.ids[:n]...)
	c.ids = c.ids[n:]
	c.mu.Unlock()
	if n == 0 {
		return false
	}
	ctx, cancel := context.WithTimeout(context.Background(), fenceTime)
	defer cancel()
	failed := s.tellConfirmed(ctx, batch)
	if len(failed) == 0 {
		return true
	}
	c.mu.Lock()
	c.ids = append(failed, c.ids...)
	c.mu.Unlock()
	select {
	case <-time.After(confirmPause):
		return true
	case <-s.ctx.Done():
		return false
	}
}
