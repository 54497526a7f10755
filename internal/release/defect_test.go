package release

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/mark"
	"github.com/recall-milter/recall-milter/test/server"
)

// broken is a store of which the content of one hold makes the sender panic.
type broken struct {
	*memory
	id string
}

func (b broken) Content(ctx context.Context, h *holdstore.Hold) io.Reader {
	if h.ID == b.id {
		panic("a defect")
	}
	return b.memory.Content(ctx, h)
}

func TestADefectCostsOneMessageAnAttempt(t *testing.T) {
	m := &memory{content: message}
	first, second := claim("a@x.test"), claim("b@x.test")
	first.ID = "1111111111111"
	m.due = []*holdstore.Claim{second}
	log, p := &notes{}, startPort(t, nil)
	s := &sender{loop: New(broken{m, first.ID}, mark.New([]byte("secret")), log,
		Options{SMTP: p.addr, Received: ReceivedShort, First: time.Second, Max: time.Minute, GiveUpAfter: time.Hour})}
	t.Cleanup(s.hangUp)
	s.run(t.Context(), t.Context(), first)
	if outcomes(first) != "pending" || outcomes(second) != "sent" ||
		!strings.Contains(log.text(), "panicked an attempt to send hold "+first.ID) {
		t.Errorf("%s, then %s\n%s", outcomes(first), outcomes(second), log.text())
	}
	if st := m.settled[0]; st.Defect != "a defect" || st.RetryIn <= 0 {
		t.Errorf("settled %+v", st)
	}
}

// Postfix at its process limit accepts connections and never greets.
func TestAPortThatNeverGreetsDoesNotOutliveTheDaemon(t *testing.T) {
	connected := make(chan struct{})
	p := startPort(t, func(int, string) string {
		close(connected)
		return hangs
	})
	m, log, c := &memory{content: message}, &notes{}, claim("a@x.test")
	s := &sender{loop: New(m, mark.New([]byte("secret")), log,
		Options{SMTP: p.addr, Received: ReceivedShort, First: time.Hour, Max: time.Hour, GiveUpAfter: time.Hour})}
	ctx, stop := context.WithCancel(t.Context())
	work, cut := context.WithCancel(t.Context())
	done := make(chan bool)
	go func() { s.run(ctx, work, c); close(done) }()
	<-connected
	stop()
	cut() // the time for what is being sent is over
	<-done
	if len(m.settled) != 1 || m.settled[0].RetryIn > time.Second || outcomes(c) != "pending" ||
		!strings.Contains(log.text(), "goes back unsent") {
		t.Errorf("settled %+v\n%s", m.settled, log.text())
	}
}

// brittle is a store that panics at the first claim and at the first outcome.
type brittle struct {
	*memory
	claimed, settled atomic.Bool
}

func (b *brittle) Claim(ctx context.Context, n int) ([]*holdstore.Claim, error) {
	if !b.claimed.Swap(true) {
		panic("a claim")
	}
	return b.memory.Claim(ctx, n)
}

func (b *brittle) SettleNext(ctx context.Context, c *holdstore.Claim, st holdstore.Settlement) (*holdstore.Claim,
	error) {
	if !b.settled.Swap(true) {
		panic("an outcome")
	}
	return b.memory.SettleNext(ctx, c, st)
}

// The one sender of the loop goes on after the panic that ended its first message.
func TestAPanicOfTheStoreEndsNeitherTheLoopNorItsSenders(t *testing.T) {
	m := &memory{content: message}
	first, second := claim("a@x.test"), claim("b@x.test")
	m.due = []*holdstore.Claim{first, second}
	log, p := &notes{}, startPort(t, nil)
	l := New(&brittle{memory: m}, mark.New([]byte("secret")), log,
		Options{SMTP: p.addr, Received: ReceivedShort, Concurrency: 1, First: time.Second, Max: time.Minute,
			GiveUpAfter: time.Hour})
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- l.Run(ctx) }()
	server.Eventually(t, "the second message leaves",
		func() bool { m.mu.Lock(); defer m.mu.Unlock(); return len(m.settled) == 1 })
	stop()
	if err := <-done; err != nil || outcomes(second) != "sent" {
		t.Errorf("%v, %s", err, outcomes(second))
	}
	for _, what := range []string{"panicked a claim of due mail, which is tried again a claim true",
		"panicked the writing of what became of hold "} {
		if !strings.Contains(log.text(), what) {
			t.Errorf("not said: %s\n%s", what, log.text())
		}
	}
}

// unwritten is a store that can't write what became of one hold: it panics, or says that it has.
type unwritten struct {
	*memory
	id     string
	panics bool
	mu     sync.Mutex
	broken []string // as Break was told
	kept   map[int]holdstore.Result
}

func (u *unwritten) SettleNext(ctx context.Context, c *holdstore.Claim, st holdstore.Settlement) (*holdstore.Claim,
	error) {
	if c.ID != u.id {
		return u.memory.SettleNext(ctx, c, st)
	}
	if u.panics {
		panic("an outcome")
	}
	return nil, fmt.Errorf("%w: an outcome", holdstore.ErrDefect)
}

func (u *unwritten) Progress(_ context.Context, _ *holdstore.Claim, results map[int]holdstore.Result) error {
	u.kept = results
	return nil
}

func (u *unwritten) Break(_ context.Context, c *holdstore.Claim, in time.Duration, what string) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.broken = append(u.broken, fmt.Sprint(c.ID, " ", in > 0, " ", what))
	return nil
}

// What the port took is written by itself, and the hold goes back with its defect counted: it is not sent again and
// again as often as its lease ends.
func TestAHoldWhoseOutcomeCanNotBeWrittenGoesBackWithWhatWasSent(t *testing.T) {
	for _, panics := range []bool{true, false} {
		first := claim("a@x.test")
		first.ID = "1111111111111"
		store := &unwritten{memory: &memory{content: message}, id: first.ID, panics: panics}
		log, p := &notes{}, startPort(t, nil)
		s := &sender{loop: New(store, mark.New([]byte("secret")), log, Options{SMTP: p.addr, Received: ReceivedShort,
			First: time.Second, Max: time.Minute, GiveUpAfter: time.Hour})}
		t.Cleanup(s.hangUp)
		s.run(t.Context(), t.Context(), first)
		want := first.ID + " true " + holdstore.ErrDefect.Error() + ": an outcome"
		if len(store.broken) != 1 || store.broken[0] != want || store.kept[0].Outcome != holdstore.Sent {
			t.Errorf("panics %v: broken %q, kept %+v\n%s", panics, store.broken, store.kept, log.text())
		}
		if panics != strings.Contains(log.text(), "panicked the writing of what became of hold "+first.ID) {
			t.Errorf("panics %v: %s", panics, log.text())
		}
	}
}
