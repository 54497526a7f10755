// Package release hands due holds back to the MTA by SMTP on the re-injection port.
//
// Its failure rules: a hold is settled only after the port's 250, each by itself, so a crash sends at most the
// messages again that were under way. What the port can't take now is held again for a growing pause. What it refuses
// for good, or for too long, is told to the sender before the hold is settled.
package release

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/mark"
)

// Store is what release needs of the hold store; holdstore.Store says what each method promises.
type Store interface {
	NextDue(ctx context.Context) (time.Duration, bool, error)
	Wake(ctx context.Context) <-chan struct{}
	Claim(ctx context.Context, max int) ([]*holdstore.Claim, error)
	Renew(ctx context.Context, c *holdstore.Claim) error
	GiveBack(ctx context.Context, c *holdstore.Claim) error
	Content(ctx context.Context, h *holdstore.Hold) io.Reader
	Header(ctx context.Context, h *holdstore.Hold) ([]byte, error)
	Settle(ctx context.Context, c *holdstore.Claim, st holdstore.Settlement) error
	Reap(ctx context.Context) (holdstore.Reaped, error)
}

// Log is told what becomes of each hold.
type Log interface {
	Released(h *holdstore.Hold, recipients int, reply string, late time.Duration)
	Retried(h *holdstore.Hold, detail string, in time.Duration)
	Failed(h *holdstore.Hold, recipient, detail string)
	Bounced(h *holdstore.Hold, to, detail string)
	Trouble(msg string, err error)
}

// Options say where to, how many at once, and how patiently.
type Options struct {
	SMTP                    string // host:port or unix:/path
	Concurrency             int
	First, Max, GiveUpAfter time.Duration
}

// Loop releases what is due.
type Loop struct {
	store  Store
	marker *mark.Marker
	log    Log
	o      Options
}

// New returns a loop; Run starts it.
func New(store Store, marker *mark.Marker, log Log, o Options) *Loop {
	return &Loop{store, marker, log, o}
}

const (
	idle       = 5 * time.Second  // longest sleep: a wake-up that was lost delays a release by no more
	renewEvery = 15 * time.Second // a quarter of the lease
	drainTime  = 30 * time.Second // for what is being sent when the daemon is told to end
)

// Run releases until ctx ends, lets what is being sent finish, and returns nil.
func (l *Loop) Run(ctx context.Context) error {
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(drainTime, cancel) })
	defer stop()
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { l.reap(ctx) })
	wake := l.store.Wake(ctx)
	free := make(chan *sender, l.o.Concurrency)
	for range l.o.Concurrency {
		free <- &sender{loop: l}
	}
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case s := <-free:
			claims, err := l.store.Claim(ctx, 1)
			if err != nil || len(claims) == 0 {
				free <- s
				l.sleep(ctx, wake, err)
				continue
			}
			wg.Go(func() { s.release(work, claims[0]); free <- s })
		}
	}
	wg.Wait()
	for range l.o.Concurrency {
		(<-free).hangUp()
	}
	return nil
}

// sleep waits until the next hold is due, a wake-up, or for a moment after an error of the store.
func (l *Loop) sleep(ctx context.Context, wake <-chan struct{}, failed error) {
	wait := time.Second
	if failed == nil {
		due, ok, err := l.store.NextDue(ctx)
		if failed = err; err == nil {
			wait = idle
			if ok {
				wait = min(max(due, time.Millisecond), idle)
			}
		}
	}
	if failed != nil && ctx.Err() == nil {
		l.log.Trouble("nothing is released until the store answers again", failed)
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-wake:
	case <-timer.C:
	}
}

func (l *Loop) reap(ctx context.Context) {
	tick := time.NewTicker(idle)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if _, err := l.store.Reap(ctx); err != nil && ctx.Err() == nil {
				l.log.Trouble("expired leases and records wait until the store answers again", err)
			}
		}
	}
}

// sender is one worker with its connection to the port.
type sender struct {
	loop *Loop
	c    *client
}

// release makes one attempt and settles what it brought.
func (s *sender) release(ctx context.Context, c *holdstore.Claim) {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { s.renew(ctx, cancel, c) })
	defer wg.Wait()
	defer cancel()
	st := s.attempt(ctx, c)
	if err := s.loop.store.Settle(ctx, c, st); err != nil {
		s.loop.log.Trouble("hold "+c.ID+": the outcome could not be written, so its message may be sent again: "+st.Detail, err)
	}
}

// renew keeps the lease; when it is lost, the attempt ends before it can send a second copy.
func (s *sender) renew(ctx context.Context, cancel func(), c *holdstore.Claim) {
	tick := time.NewTicker(renewEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if err := s.loop.store.Renew(ctx, c); errors.Is(err, holdstore.ErrLost) {
				cancel()
				return
			}
		}
	}
}

// attempt sends the message to the recipients still pending, then bounces what has failed for good.
func (s *sender) attempt(ctx context.Context, c *holdstore.Claim) holdstore.Settlement {
	l, results := s.loop, map[int]holdstore.Result{}
	var indexes []int
	var paths []holdstore.Path
	for i, r := range c.Results {
		if r.Outcome == holdstore.Pending {
			indexes, paths = append(indexes, i), append(paths, c.Recipients[i])
		}
	}
	detail := "every recipient is settled"
	if len(paths) > 0 {
		stamp := l.marker.Stamp(c.ID, c.Sender.Address, c.MessageID)
		content := io.MultiReader(strings.NewReader(received(&c.Hold, stamp)), l.store.Content(ctx, &c.Hold))
		reply, refused, err := s.send(ctx, c.Sender, paths, content)
		detail = reply
		if err != nil {
			detail = err.Error()
		}
		s.judge(c, indexes, reply, refused, err, results)
	}
	st := holdstore.Settlement{Results: results, Detail: detail}
	if s.bounce(ctx, c, results) != nil || stillPending(c, results) {
		st.RetryIn = l.pause(c.Attempts)
		l.log.Retried(&c.Hold, detail, st.RetryIn)
	}
	return st
}

// judge turns replies into results.
func (s *sender) judge(c *holdstore.Claim, indexes []int, reply string, refused map[int]error, err error, results map[int]holdstore.Result) {
	l, sent, old := s.loop, 0, time.Since(c.HeldAt) > s.loop.o.GiveUpAfter
	for n, i := range indexes {
		r := holdstore.Result{Outcome: holdstore.Sent, Detail: reply, At: time.Now()}
		if why := cmpErr(refused[n], err); why != nil {
			r.Outcome, r.Detail = holdstore.Pending, why.Error()
			if permanent(why) || old {
				r.Outcome = holdstore.Failed
				l.log.Failed(&c.Hold, c.Recipients[i].Address, r.Detail)
			}
		} else {
			sent++
		}
		results[i] = r
	}
	if sent > 0 {
		l.log.Released(&c.Hold, sent, reply, time.Since(c.Due))
	}
}

func cmpErr(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

func stillPending(c *holdstore.Claim, results map[int]holdstore.Result) bool {
	for i, r := range c.Results {
		if now, ok := results[i]; ok {
			r = now
		}
		if r.Outcome == holdstore.Pending {
			return true
		}
	}
	return false
}

// pause grows from First to Max, with a tenth of chance so that gateways do not come at once.
func (l *Loop) pause(attempts int) time.Duration {
	d := l.o.First << min(max(attempts-1, 0), 20)
	if d <= 0 || d > l.o.Max {
		d = l.o.Max
	}
	return d + rand.N(d/10+1)
}

// send gives one message to the port. refused are recipients refused by themselves; err concerns all others.
func (s *sender) send(ctx context.Context, from holdstore.Path, to []holdstore.Path, content io.Reader) (reply string, refused map[int]error, err error) {
	if s.c != nil && s.c.command("RSET") != nil {
		s.hangUp()
	}
	if s.c == nil {
		if s.c, err = dial(s.loop.o.SMTP, "recall-milter"); err != nil {
			return "", nil, err
		}
	}
	conn := s.c.Conn
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	if refused, err = s.c.envelope(from, to); err == nil && len(refused) < len(to) {
		reply, err = s.c.data(content)
	}
	var no *refusal
	if err != nil && !errors.As(err, &no) {
		s.c.Conn.Close() // without a final dot nothing of it is sent
		s.c = nil
	}
	return reply, refused, err
}

func (s *sender) hangUp() {
	if s.c != nil {
		s.c.command("QUIT")
		s.c.Conn.Close()
		s.c = nil
	}
}
