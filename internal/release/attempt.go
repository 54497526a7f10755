package release

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
)

const (
	renewEvery  = 15 * time.Second       // a quarter of the lease
	minLease    = 10 * time.Second       // with less left, another daemon may soon send the same message: do not go on
	settleEvery = 250 * time.Millisecond // between two tries to write an outcome
	settleTime  = 5 * time.Second        // for writing it once the time for sending is over
	idleTime    = 60 * time.Second       // unused connections end then; Postfix ends them after 300 s
)

// sender is one worker with its connection to the port.
type sender struct {
	loop *Loop
	c    *client
	to   string // the port that c leads to
}

// run releases a hold, and then what is due behind it. When ctx ends it begins with no other.
func (s *sender) run(ctx, work context.Context, c *holdstore.Claim) {
	for c != nil {
		c = s.release(ctx, work, c)
	}
}

// release makes one attempt and settles what it brought. Unless ctx has ended it returns the next hold, if one is due.
func (s *sender) release(ctx, work context.Context, c *holdstore.Claim) (next *holdstore.Claim) {
	work, cancel := context.WithCancel(work)
	var wg sync.WaitGroup
	wg.Go(func() {
		defer cancel() // without the lease nothing may be sent
		s.loop.guarded("the renewal of the lease of hold "+c.ID, func() { s.renew(work, cancel, c) })
	})
	defer wg.Wait()
	defer cancel()
	st := holdstore.Settlement{Results: map[int]holdstore.Result{}}
	s.guarded(work, c, &st, func() bool { return ctx.Err() == nil })
	// cut off by the end of the daemon, and no fault of the message
	if ctx.Err() != nil && work.Err() != nil && st.RetryIn > 0 {
		st.RetryIn = time.Millisecond
		s.loop.log.Trouble("hold "+c.ID+" goes back unsent: the daemon ends, and the port has not answered in time; it is "+
			"sent when a daemon runs again", nil)
	}
	end, stop := outlast(work, settleTime) // what was sent must be written also when the time for sending is over
	defer stop()
	err := s.loop.try("the writing of what became of hold "+c.ID, func() (err error) {
		next, err = s.settle(end, c, st, ctx.Err() == nil)
		return err
	})
	if errors.Is(err, holdstore.ErrDefect) {
		s.broken(end, c, st, err)
	} else if err != nil {
		s.loop.log.Trouble("hold "+c.ID+": the outcome could not be written, so its message may be sent again: "+st.Detail,
			err)
	}
	return next
}

// broken gives a hold back whose outcome a defect of ours keeps from being written. What the port has taken is written
// by itself, so that the next attempt sends it to nobody twice.
func (s *sender) broken(ctx context.Context, c *holdstore.Claim, st holdstore.Settlement, defect error) {
	err := s.loop.try("the writing of what the port took of hold "+c.ID, func() error {
		return s.loop.store.Progress(ctx, c, st.Results)
	})
	wrong := s.loop.try("the giving back of hold "+c.ID, func() error {
		return s.loop.store.Break(ctx, c, s.loop.pause(c.Attempts), defect.Error())
	})
	if errors.Is(wrong, holdstore.ErrLost) {
		return // its outcome was written, or somebody else has it
	}
	if err = errors.Join(err, wrong); err != nil {
		s.loop.log.Trouble("hold "+c.ID+": the outcome could not be written, so its message may be sent again: "+st.Detail,
			err)
	}
}

// outlast returns a context that ends so long after ctx.
func outlast(ctx context.Context, d time.Duration) (context.Context, func()) {
	longer, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(d, cancel) })
	return longer, func() { stop(); cancel() }
}

// guarded is attempt, of which a defect of ours costs this message a retry, and after some of them parks it: never the
// daemon, nor another message. What the port has taken by then counts.
func (s *sender) guarded(ctx context.Context, c *holdstore.Claim, st *holdstore.Settlement, more func() bool) {
	defer func() {
		v := recover()
		if v == nil {
			return
		}
		if s.c != nil { // nobody knows what it waits for
			s.c.conn.Close()
			s.c = nil
		}
		st.Defect = fmt.Sprint(v)
		st.Detail, st.RetryIn = "a defect of the daemon: "+st.Defect, s.loop.pause(c.Attempts)
		s.loop.log.Panicked("an attempt to send hold "+c.ID+", which is tried again", v, debug.Stack())
	}()
	s.attempt(ctx, c, st, more)
}

// settle writes the outcome, as Settle does, and takes the next hold if there is more to do.
func (s *sender) settle(ctx context.Context, c *holdstore.Claim, st holdstore.Settlement,
	more bool) (next *holdstore.Claim, err error) {
	if !more {
		return nil, Settle(ctx, s.loop.store, c, st)
	}
	next, err = s.loop.store.SettleNext(ctx, c, st)
	return next, insist(ctx, s.loop.store, c, st, err)
}

// Settler is the store as far as Settle needs it.
type Settler interface {
	Settle(ctx context.Context, c *holdstore.Claim, st holdstore.Settlement) error
}

// Settle writes the outcome of an attempt, and while the lease runs waits for a store that is away: whoever takes the
// hold over would send a second copy.
func Settle(ctx context.Context, store Settler, c *holdstore.Claim, st holdstore.Settlement) error {
	return insist(ctx, store, c, st, store.Settle(ctx, c, st))
}

// insist tries again to write an outcome; err is what came of the first try.
func insist(ctx context.Context, store Settler, c *holdstore.Claim, st holdstore.Settlement, err error) error {
	for errors.Is(err, holdstore.ErrUnavailable) && c.LeaseLeft() > 0 {
		select {
		case <-ctx.Done():
			return err
		case <-time.After(settleEvery):
		}
		if err = store.Settle(ctx, c, st); errors.Is(err, holdstore.ErrLost) && c.LeaseLeft() > 0 {
			return nil // it was written, and only the answer was lost
		}
	}
	return err
}

// renew keeps the lease. When it is lost, or nearly over while the store is away, the attempt ends before it can send
// a second copy.
func (s *sender) renew(ctx context.Context, cancel func(), c *holdstore.Claim) {
	tick := time.NewTicker(renewEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			err := s.loop.store.Renew(ctx, c)
			if errors.Is(err, holdstore.ErrLost) || err != nil && c.LeaseLeft() < renewEvery+minLease {
				cancel()
				return
			}
		}
	}
}

// attempt sends the message to the recipients still pending, then bounces what has failed for good. st has what came of
// it, step by step.
func (s *sender) attempt(ctx context.Context, c *holdstore.Claim, st *holdstore.Settlement, more func() bool) {
	l, results := s.loop, st.Results
	st.Detail = "every recipient is settled"
	if todo := waiting(c, results); len(todo) > 0 {
		var left bool
		if st.Detail, left = s.sendAll(ctx, c, todo, results, more); left {
			st.RetryIn = time.Millisecond // a daemon that goes on does
			return
		}
	}
	if err := s.bounce(ctx, c, results); err != nil {
		st.Detail += "; the bounce is still to be sent: " + err.Error()
		st.RetryIn = l.pause(c.Attempts)
	}
	if st.RetryIn > 0 || len(waiting(c, results)) > 0 {
		st.RetryIn = l.pause(c.Attempts)
		l.log.Retried(&c.Hold, st.Detail, st.RetryIn)
	}
}

// waiting lists the recipients without a final result.
func waiting(c *holdstore.Claim, results map[int]holdstore.Result) (indexes []int) {
	for i, r := range c.Results {
		if now, ok := results[i]; ok {
			r = now
		}
		if r.Outcome == holdstore.Pending {
			indexes = append(indexes, i)
		}
	}
	return indexes
}

// leased says whether the claim is surely ours for long enough to go on.
func leased(c *holdstore.Claim) func() error {
	return func() error {
		if left := c.LeaseLeft(); left < minLease {
			return fmt.Errorf("the lease of hold %s has only %v left: nothing was sent", c.ID, left.Round(time.Second))
		}
		return nil
	}
}

// send gives one message to the port; a connection that the port has ended since its last use costs no attempt.
func (s *sender) send(ctx context.Context, e envelope) (sent, error) {
	reused := s.c != nil
	got, err := s.try(ctx, e)
	if err != nil && reused && s.c == nil && !got.begun && ctx.Err() == nil {
		got, err = s.try(ctx, e)
	}
	return got, err
}

func (s *sender) try(ctx context.Context, e envelope) (sent, error) {
	port := s.loop.o.port(e)
	if s.to != port {
		s.hangUp()
	}
	if s.c == nil {
		c, err := dial(ctx, port, e.gateway, commandTime)
		if err != nil {
			return sent{}, err
		}
		if limit := s.loop.limits[port]; limit != nil {
			limit.hear(c)
		}
		s.c, s.to = c, port
	}
	if e.from.HasArg("XVERP") && !s.c.offersFor("XVERP") {
		s.loop.log.Trouble("hold "+e.client.ID+": its recipients have one return path, although its sender wanted one for "+
			"each (XVERP): "+
			"let the re-injection port offer it by smtpd_authorized_verp_clients", nil)
	}
	conn := s.c.conn
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	got, err := s.c.send(e)
	s.c.idle = time.Now()
	var no *refusal
	if s.c.inData || err != nil && (!errors.As(err, &no) || no.code == 421) {
		s.c.conn.Close()
		s.c = nil
	}
	return got, err
}

func (s *sender) hangUp() {
	if s.c != nil {
		s.c.quit()
		s.c = nil
	}
}
