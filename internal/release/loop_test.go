package release

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/mark"
	"github.com/recall-milter/recall-milter/test/server"
)

func TestMain(m *testing.M) { os.Exit(server.WithoutLeaks(m)) }

// run starts the loop; end tells it to end, and wait waits for that.
func run(t *testing.T, m Store, smtp string) (log *notes, end, wait func()) {
	t.Helper()
	log, done := &notes{}, make(chan error)
	ctx, cancel := context.WithCancel(t.Context())
	l := New(m, mark.New([]byte("secret")), log,
		Options{SMTP: smtp, Concurrency: 3, First: time.Second, Max: time.Minute, GiveUpAfter: time.Hour})
	go func() { done <- l.Run(ctx) }()
	return log, cancel, func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

func TestWhatIsDueLeavesOverReusedConnections(t *testing.T) {
	p, m := startPort(t, nil, "PIPELINING"), &memory{content: message, bell: make(chan struct{})}
	for range 50 {
		m.due = append(m.due, claim("a@x.test"))
	}
	log, _, wait := run(t, m, p.addr)
	server.Eventually(t, "all 50 are released", func() bool { return strings.Count(log.text(), "released") == 50 })
	wait()
	if _, data := p.got(); len(data) != 50 || p.dials > 3 {
		t.Errorf("%d messages over %d connections", len(data), p.dials)
	}
}

// downStore doesn't answer until up.
type downStore struct {
	memory
	up atomic.Bool
}

func (d *downStore) Claim(ctx context.Context, n int) ([]*holdstore.Claim, error) {
	if !d.up.Load() {
		return nil, errors.New("connection refused")
	}
	return d.memory.Claim(ctx, n)
}

func TestAStoreThatIsAwayIsSaidOnce(t *testing.T) {
	p, d := startPort(t, nil), &downStore{}
	d.content, d.due, d.bell = message, []*holdstore.Claim{claim("a@x.test")}, make(chan struct{})
	log, _, wait := run(t, d, p.addr)
	server.Eventually(t, "it is said", func() bool { return strings.Contains(log.text(), "nothing is released until") })
	for range 3 { // more tries of the loop
		d.bell <- struct{}{}
	}
	d.up.Store(true)
	server.Eventually(t, "the hold leaves", func() bool { return strings.Contains(log.text(), "released 250") })
	wait()
	if n := strings.Count(log.text(), "trouble"); n != 1 {
		t.Errorf("said %d times:\n%s", n, log.text())
	}
	if n := strings.Count(log.text(), "recovered the store answers again"); n != 1 {
		t.Errorf("its return is said %d times:\n%s", n, log.text())
	}
}

// A server that hangs is found out when a question has waited for its answer, so its outage began before that.
func TestAnOutageLastsSinceTheFirstQuestionWithoutAnAnswer(t *testing.T) {
	log := &notes{}
	l := New(nil, nil, log, Options{})
	l.say(holdstore.ErrUnavailable, time.Now().Add(-time.Hour))
	l.say(holdstore.ErrUnavailable, time.Now())
	l.say(nil, time.Now())
	l.say(nil, time.Now())
	if got := log.text(); strings.Count(got, "recovered") != 1 || !strings.Contains(got, "answers again after 1h0m0") {
		t.Errorf("%s", got)
	}
}

// slow is a store whose content comes when it is told to.
type slow struct {
	memory
	reading, next chan struct{}
}

func (s *slow) Content(ctx context.Context, h *holdstore.Hold) io.Reader {
	close(s.reading)
	<-s.next
	return s.memory.Content(ctx, h)
}

func TestWhatIsBeingSentIsFinishedWhenTheDaemonEnds(t *testing.T) {
	p, m := startPort(t, nil), &slow{reading: make(chan struct{}), next: make(chan struct{})}
	m.content, m.due = message, []*holdstore.Claim{claim("a@x.test")}
	log, end, wait := run(t, m, p.addr)
	<-m.reading
	end()
	close(m.next)
	wait()
	if !strings.Contains(log.text(), "released") || len(m.settled) != 1 {
		t.Errorf("not released: %s", log.text())
	}
}

// oneStore gives out one claim, and the others only to who settles.
type oneStore struct {
	memory
	begun atomic.Bool
	nexts atomic.Int64
}

func (o *oneStore) Claim(ctx context.Context, n int) ([]*holdstore.Claim, error) {
	if o.begun.Swap(true) {
		return nil, nil
	}
	return o.memory.Claim(ctx, 1)
}

func (o *oneStore) SettleNext(ctx context.Context, c *holdstore.Claim, st holdstore.Settlement) (*holdstore.Claim,
	error) {
	o.nexts.Add(1)
	return o.memory.SettleNext(ctx, c, st)
}

func TestAfterOneHoldComesTheNextUntilTheDaemonEnds(t *testing.T) {
	var mails atomic.Int64
	ends := make(chan func(), 1)
	p := startPort(t, func(_ int, line string) string {
		if strings.HasPrefix(line, "MAIL") && mails.Add(1) == 3 {
			(<-ends)()
		}
		return ""
	})
	o := &oneStore{}
	o.content, o.bell = message, make(chan struct{})
	for range 6 {
		o.due = append(o.due, claim("a@x.test"))
	}
	_, end, wait := run(t, o, p.addr)
	ends <- end
	server.Eventually(t, "the third is being sent", func() bool { return mails.Load() >= 3 })
	wait()
	if len(o.settled) != 3 || o.nexts.Load() != 2 || p.dials != 1 {
		t.Errorf("%d settled, %d of them for a next one, over %d connections", len(o.settled), o.nexts.Load(), p.dials)
	}
}

func TestPausesGrowToTheirBound(t *testing.T) {
	l := New(nil, nil, nil, Options{First: 10 * time.Second, Max: 10 * time.Minute})
	for attempts, want := range map[int]time.Duration{0: 10, 1: 10, 2: 20, 3: 40, 7: 600, 1000: 600} {
		want *= time.Second
		if got := l.pause(attempts); got < want || got > want+want/10+1 {
			t.Errorf("after %d attempts %v, want %v", attempts, got, want)
		}
	}
	seen := map[time.Duration]bool{}
	for range 20 {
		seen[l.pause(1)] = true
	}
	if len(seen) == 1 {
		t.Error("gateways would come at once")
	}
}

// pausedStore is paused until up.
type pausedStore struct {
	memory
	up    atomic.Bool
	tries atomic.Int64
}

func (p *pausedStore) Claim(ctx context.Context, n int) ([]*holdstore.Claim, error) {
	if !p.up.Load() {
		p.tries.Add(1)
		return nil, holdstore.ErrPaused
	}
	return p.memory.Claim(ctx, n)
}

func TestAPauseIsSaidOnceAndEndsWithAWakeUp(t *testing.T) {
	p, d := startPort(t, nil), &pausedStore{}
	d.content, d.due, d.bell = message, []*holdstore.Claim{claim("a@x.test")}, make(chan struct{})
	log, _, wait := run(t, d, p.addr)
	server.Eventually(t, "it is said",
		func() bool { return strings.Contains(log.text(), "until somebody types recallctl resume") })
	for range 3 { // more tries of the loop
		d.bell <- struct{}{}
	}
	if n := d.tries.Load(); n > 20 { // and some more on a machine where this takes long
		t.Errorf("the store was asked %d times", n)
	}
	d.up.Store(true)
	d.bell <- struct{}{}
	server.Eventually(t, "the hold leaves", func() bool { return strings.Contains(log.text(), "released") })
	wait()
	if n := strings.Count(log.text(), "trouble"); n != 1 {
		t.Errorf("said %d times:\n%s", n, log.text())
	}
	if strings.Contains(log.text(), "recovered") {
		t.Errorf("a pause is logged as an outage:\n%s", log.text())
	}
}

// fullStore has so many batches of records to forget.
type fullStore struct {
	memory
	batches atomic.Int64
}

func (f *fullStore) Reap(context.Context) (holdstore.Reaped, error) {
	left := f.batches.Add(-1)
	return holdstore.Reaped{RecordsForgotten: 100, More: left > 0}, nil
}

func TestRecordsEndAsFastAsMailComesIn(t *testing.T) {
	f := &fullStore{}
	f.batches.Store(50)
	synctest.Test(t, func(t *testing.T) {
		l := New(f, nil, nil, Options{})
		ctx, cancel := context.WithTimeout(t.Context(), 2*idle-time.Second) // one tick
		defer cancel()
		l.reap(ctx)
	})
	if left := f.batches.Load(); left != 0 {
		t.Errorf("%d batches wait for the next tick", left)
	}
}
