package holdstore

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/test/server"
)

// crowd is some gateways at work on one store while its servers suffer: they hold, release and recall, and remember
// what they were told. Nothing acknowledged may be lost, and nothing recalled sent.
type crowd struct {
	open  func() *Store
	pause time.Duration // of each writer between two messages

	mu      sync.Mutex
	n       int
	later   []string          // marks of what was refused
	acked   []string          // marks, in the order of their acknowledgement
	ids     map[string]string // of what was acknowledged
	sent    map[string]int
	back    map[string]bool // the store said recalled
	unclear map[string]bool // it did not say what became of a recall
	refused int
}

const crowdLease = 3 * time.Second

func newCrowd(open func() *Store) *crowd {
	c := &crowd{open: open, ids: map[string]string{}, sent: map[string]int{}, back: map[string]bool{},
		unclear: map[string]bool{}}
	if !long() {
		c.pause = 15 * time.Millisecond
	}
	return c
}

// long says whether this is "make torture".
func long() bool { return os.Getenv("TORTURE") != "" }

// work runs the crowd while harm is done, and then until nothing is held any more.
func (c *crowd) work(t *testing.T, harm func()) {
	ctx, cancel := context.WithCancel(t.Context())
	writing, stop := context.WithCancel(ctx)
	var writers, others sync.WaitGroup
	gateways := []*Store{c.open(), c.open()}
	for _, s := range gateways {
		s.lease = crowdLease
		for range 3 {
			writers.Go(func() { c.holds(writing, s) })
		}
		writers.Go(func() { c.recalls(writing, s) })
		for range 2 {
			others.Go(func() { c.releases(ctx, s) })
		}
		others.Go(func() { reaps(ctx, s) })
	}
	harm()
	stop()
	writers.Wait()
	server.Eventually(t, "nothing waits any more", func() bool {
		ids, err := gateways[0].WaitingIDs(ctx)
		return err == nil && len(ids) == 0
	})
	cancel()
	others.Wait()
	c.judge(t)
}

// works waits until the crowd has been told of some more messages that they are held.
func (c *crowd) works(t *testing.T) {
	c.mu.Lock()
	want := len(c.acked) + 200
	c.mu.Unlock()
	server.Eventually(t, "the store takes messages", func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return len(c.acked) >= want
	})
}

// holds submits messages; one that is refused is tried again later, as its client would.
func (c *crowd) holds(ctx context.Context, s *Store) {
	for ctx.Err() == nil {
		mark := c.next()
		r, err := holdOne(s, mark, time.Duration(rand.IntN(400))*time.Millisecond)
		c.mu.Lock()
		if err == nil {
			c.acked, c.ids[mark] = append(c.acked, mark), r.ID
			s.Confirm(r)
		} else {
			c.refused++
			c.later = append(c.later, mark)
		}
		c.mu.Unlock()
		idleFor(ctx, c.pause)
	}
}

// next is a new message, or one that was refused before.
func (c *crowd) next() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.later) > 0 && rand.IntN(3) == 0 {
		mark := c.later[0]
		c.later = c.later[1:]
		return mark
	}
	c.n++
	return fmt.Sprint("c", c.n)
}

func holdOne(s *Store, mark string, grace time.Duration) (Committed, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	sub := submission(mark)
	sub.Sender.Address, sub.Recipients = mark+"@corp.test", sub.Recipients[:1] // the envelope says to which shard
	return s.Put(sub, []byte(header(mark))).Commit(ctx, Terms{Rule: "default", Grace: grace})
}

func (c *crowd) recalls(ctx context.Context, s *Store) {
	for ctx.Err() == nil {
		idleFor(ctx, 5*time.Millisecond)
		c.mu.Lock()
		mark := ""
		if n := len(c.acked); n > 0 {
			mark = c.acked[n-1-rand.IntN(min(n, 30))]
		}
		id, done := c.ids[mark], c.back[mark]
		c.mu.Unlock()
		if id == "" || done {
			continue
		}
		h, err := s.Recall(ctx, id, alice)
		c.mu.Lock()
		switch {
		case errors.Is(err, ErrTooLate), errors.Is(err, ErrNotNow):
		case err == nil && h.Results[0].Outcome == TakenBack:
			c.back[mark] = true
		default:
			c.unclear[mark] = true
		}
		c.mu.Unlock()
	}
}

// releases sends what is due as internal/release does: only with lease enough, and settled until the answer is known.
func (c *crowd) releases(ctx context.Context, s *Store) {
	for ctx.Err() == nil {
		claims, err := s.Claim(ctx, 8)
		if err != nil || len(claims) == 0 {
			idleFor(ctx, 10*time.Millisecond)
			continue
		}
		for len(claims) > 0 {
			claim := claims[0]
			claims = claims[1:]
			if claim.LeaseLeft() < crowdLease/3 {
				continue
			}
			c.mu.Lock()
			c.sent[claim.Submission.QueueID[1:]]++
			c.mu.Unlock()
			if next := settleSurely(ctx, s, claim); next != nil {
				claims = append(claims, next)
			}
		}
	}
}

// settleSurely settles until the answer is known, and may bring the next hold.
func settleSurely(ctx context.Context, s *Store, c *Claim) *Claim {
	st := Settlement{Results: map[int]Result{0: {Outcome: Sent}}}
	next, err := s.SettleNext(ctx, c, st)
	for errors.Is(err, ErrUnavailable) && c.LeaseLeft() > 0 && ctx.Err() == nil {
		idleFor(ctx, 50*time.Millisecond)
		err = s.Settle(ctx, c, st)
	}
	return next
}

func reaps(ctx context.Context, s *Store) {
	for ctx.Err() == nil {
		s.Reap(ctx)
		idleFor(ctx, 200*time.Millisecond)
	}
}

func idleFor(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// judge compares what was promised with what happened.
func (c *crowd) judge(t *testing.T) {
	t.Helper()
	lost, both, twice := 0, 0, 0
	for _, mark := range c.acked {
		n := c.sent[mark]
		switch {
		case c.back[mark] && n > 0:
			both++
			t.Errorf("%s (%s) was recalled, and sent %d times", mark, c.ids[mark], n)
		case n == 0 && !c.back[mark] && !c.unclear[mark]:
			lost++
			t.Errorf("%s (%s) was acknowledged, and is lost", mark, c.ids[mark])
		}
		twice += max(0, n-1)
	}
	t.Logf("%d acknowledged, %d lost, %d recalled, %d recalled and sent, %d sent twice, %d tries refused, %d recalls "+
		"unclear",
		len(c.acked), lost, len(c.back), both, twice, c.refused, len(c.unclear))
	if len(c.acked) == 0 || len(c.back) == 0 || c.refused == 0 {
		t.Error("nothing was put to the test")
	}
}

func (c *crowd) tell(t *testing.T, what string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	t.Logf("%s: %d acknowledged so far, %d tries refused", what, len(c.acked), c.refused)
}
