// Package release hands due holds back to the MTA by SMTP on the re-injection port.
//
// Its failure rules: a hold is settled only after the port's 250, each by itself, so a crash sends at most the
// messages again that were under way. What the port can't take now is held again for a growing pause. What it refuses
// for good, or for too long, is told to the sender before the hold is settled.
package release

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/hint"
	"github.com/recall-milter/recall-milter/internal/mark"
)

// Store is what release needs of the hold store; holdstore.Store says what each method promises.
type Store interface {
	NextDue(ctx context.Context) (time.Duration, bool, error)
	Wake(ctx context.Context) <-chan struct{}
	Claim(ctx context.Context, max int) ([]*holdstore.Claim, error)
	Renew(ctx context.Context, c *holdstore.Claim) error
	Content(ctx context.Context, h *holdstore.Hold) io.Reader
	Header(ctx context.Context, h *holdstore.Hold) ([]byte, error)
	BodyDigest(ctx context.Context, h *holdstore.Hold) ([]byte, error)
	Break(ctx context.Context, c *holdstore.Claim, in time.Duration, what string) error
	Progress(ctx context.Context, c *holdstore.Claim, results map[int]holdstore.Result) error
	Settle(ctx context.Context, c *holdstore.Claim, st holdstore.Settlement) error
	SettleNext(ctx context.Context, c *holdstore.Claim, st holdstore.Settlement) (*holdstore.Claim, error)
	Reap(ctx context.Context) (holdstore.Reaped, error)
}

// Log is told what becomes of each hold.
type Log interface {
	Released(h *holdstore.Hold, recipients int, reply string, late time.Duration)
	Retried(h *holdstore.Hold, detail string, in time.Duration)
	Failed(h *holdstore.Hold, recipient, detail string)
	Bounced(h *holdstore.Hold, to, detail string)
	Trouble(msg string, err error)
	Recovered(msg string, lasted time.Duration)
	Panicked(what string, v any, stack []byte)
}

// Options say where to, how many at once, and how patiently.
type Options struct {
	SMTP    string // host:port or unix:/path
	OwnSMTP string // the same for the gateway's own mails; empty: SMTP
	// other ports for mail that was submitted to services with these daemon names
	ByDaemon                map[string]string
	Received                string // ReceivedFull, ReceivedShort or ReceivedNone
	CancelLock              bool   // add Cancel-Lock to what is released
	Concurrency             int
	First, Max, GiveUpAfter time.Duration
	Sent                    func(sender string, recipients []string) // is told who got a message; may be nil
	Config                  string                                   // the config file, for commands that the log tells
}

// Loop releases what is due.
type Loop struct {
	store  Store
	marker *mark.Marker
	log    Log
	o      Options
	limits map[string]*sizeLimit // of each port for mail of others
	most   portMost
	stands string       // why nothing was claimed last time, as it was said; "": all is well
	gone   time.Time    // since when the store, or a part of it, does not answer; zero: it does
	busy   atomic.Int32 // senders that have a hold
	beat   atomic.Int64 // when Run last went round, in seconds since 1970; 0: not yet
}

// New returns a loop; Run starts it.
func New(store Store, marker *mark.Marker, log Log, o Options) *Loop {
	l := &Loop{store: store, marker: marker, log: log, o: o, limits: map[string]*sizeLimit{o.SMTP: {}}}
	for _, port := range o.ByDaemon {
		l.limits[port] = &sizeLimit{}
	}
	return l
}

func (l *Loop) beats() { l.beat.Store(time.Now().Unix()) }

// Sending says whether a hold is being sent, or its outcome is being written.
func (l *Loop) Sending() bool { return l.busy.Load() > 0 }

// Alive says whether Run goes round, as it does also while the store or the port is away. Before Run it is alive.
func (l *Loop) Alive() bool {
	beat := l.beat.Load()
	return beat == 0 || time.Since(time.Unix(beat, 0)) < deathTime
}

const (
	idle   = 5 * time.Second       // longest sleep: a wake-up that was lost delays a release by no more
	away   = time.Second           // between two tries while the store does not answer
	glance = 50 * time.Millisecond // the same while a part of it does
	// a loop that did not go round for so long never will: the longest wait for Redis is far shorter
	deathTime = 2 * time.Minute
	drainTime = 30 * time.Second // for what is being sent when the daemon is told to end
)

// Run releases until ctx ends, lets what is being sent finish, and returns nil.
func (l *Loop) Run(ctx context.Context) error {
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(drainTime, cancel) })
	defer stop()
	var wg sync.WaitGroup
	wg.Go(func() { l.reap(ctx) })
	wake := l.store.Wake(ctx)
	free := make(chan *sender, l.o.Concurrency)
	for range l.o.Concurrency {
		free <- &sender{loop: l}
	}
	for ctx.Err() == nil {
		senders := l.waitFor(ctx, free)
		if len(senders) == 0 {
			break
		}
		var claims []*holdstore.Claim
		asked := time.Now()
		err := l.try("a claim of due mail, which is tried again", func() (err error) {
			claims, err = l.store.Claim(ctx, len(senders))
			return err
		})
		for n, s := range senders {
			if n < len(claims) {
				l.busy.Add(1)
				wg.Go(func() {
					defer l.busy.Add(-1)
					l.guarded("a sender, whose hold goes out again when its lease is over", func() { s.run(ctx, work, claims[n]) })
					free <- s
				})
			} else {
				free <- s
			}
		}
		if err != nil || len(claims) == 0 {
			l.sleep(ctx, wake, free, asked, err)
		} else {
			l.say(nil, asked)
		}
	}
	wg.Wait()
	for range l.o.Concurrency {
		(<-free).hangUp()
	}
	return nil
}

// waitFor returns all senders that are free, and waits while there is none.
func (l *Loop) waitFor(ctx context.Context, free chan *sender) []*sender {
	var senders []*sender
	tick := time.NewTicker(idle)
	defer tick.Stop()
	for len(senders) == 0 {
		l.beats()
		select {
		case <-ctx.Done():
			return nil
		case s := <-free:
			senders = append(senders, s)
		case <-tick.C: // the port may take its time
		}
	}
	for {
		select {
		case s := <-free:
			senders = append(senders, s)
		default:
			return senders
		}
	}
}

// sleep waits until the next hold is due, a wake-up, or for a moment after an error of the store, which is said once;
// asked is when the store was asked what failed.
func (l *Loop) sleep(ctx context.Context, wake <-chan struct{}, free chan *sender, asked time.Time, failed error) {
	wait := away
	if failed == nil || errors.Is(failed, holdstore.ErrPartial) {
		if failed == nil {
			asked = time.Now()
		}
		due, ok, err := l.store.NextDue(ctx)
		if failed = cmp.Or(failed, err); failed == nil {
			wait = idle
		} else if ok {
			wait = glance // a wake-up may be lost with the server that is away
		}
		if ok {
			wait = min(max(due, time.Millisecond), wait)
		}
	}
	if ctx.Err() == nil {
		l.say(failed, asked)
	}
	if l.stands != storeAway {
		hangUpIdle(free)
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-wake:
	case <-timer.C:
	}
}

const (
	storeAway = "nothing is released until the store answers again"
	partAway  = "what is held on a server that is away is not released until it answers again; all else goes on"
	paused    = "nothing is released until somebody types "
)

// say tells once why nothing is released, and how long the store was away when it answers again: from the first
// question to which no answer came, as a server that hangs is found out late.
func (l *Loop) say(failed error, asked time.Time) {
	why := ""
	switch {
	case errors.Is(failed, holdstore.ErrPaused):
		why = paused + hint.Recallctl(l.o.Config, "resume") + "; " + hint.Recallctl(l.o.Config, "stats") +
			" says who paused it"
	case errors.Is(failed, holdstore.ErrPartial):
		why = partAway
	case failed != nil:
		why = storeAway
	}
	if why != "" && why != l.stands {
		l.log.Trouble(why, failed)
	}
	l.stands = why
	switch away := why == storeAway || why == partAway; {
	case away && l.gone.IsZero():
		l.gone = asked
	case !away && !l.gone.IsZero():
		l.log.Recovered("the store answers again", time.Since(l.gone))
		l.gone = time.Time{}
	}
}

// hangUpIdle ends connections that are not used, before the port does.
func hangUpIdle(free chan *sender) {
	for range len(free) {
		s := <-free
		if s.c != nil && time.Since(s.c.idle) > idleTime {
			s.hangUp()
		}
		free <- s
	}
}

// guarded runs f; a panic in it is reported, and ends nothing else.
func (l *Loop) guarded(what string, f func()) {
	_ = l.try(what, func() error { f(); return nil })
}

// try runs f. A panic in it is reported, and becomes an ErrDefect.
func (l *Loop) try(what string, f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			l.log.Panicked(what, v, debug.Stack())
			err = fmt.Errorf("%w: %v", holdstore.ErrDefect, v)
		}
	}()
	return f()
}

func (l *Loop) reap(ctx context.Context) {
	tick := time.NewTicker(idle)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			// Records end as fast as mail comes in, which may be faster than a batch every few seconds.
			for more := true; more && ctx.Err() == nil; {
				more = false
				l.guarded("the clearing of the store, which is tried again", func() {
					done, err := l.store.Reap(ctx) // while the store is away, sleep says so
					more = done.More && err == nil
				})
			}
		}
	}
}

// pause grows from First to Max, with a tenth of chance so that gateways do not come at once.
func (l *Loop) pause(attempts int) time.Duration {
	d := l.o.First << min(max(attempts-1, 0), 20)
	if d <= 0 || d > l.o.Max {
		d = l.o.Max
	}
	return d + rand.N(d/10+1)
}
