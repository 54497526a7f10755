package inbound

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/authenticate"
	"github.com/recall-milter/recall-milter/internal/mailmsg"
	"github.com/recall-milter/recall-milter/policy"
)

// ledger counts what is written, and how often.
type ledger struct {
	Memory
	mu     sync.Mutex
	kept   int
	writes int
	away   chan struct{} // not nil: writes wait for it, and fail
}

func (l *ledger) Remember(_ context.Context, all []holdstore.Remembered, _ time.Duration) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.writes++
	if l.away != nil {
		<-l.away
		return errors.New("away")
	}
	l.kept += len(all)
	return nil
}

func remembering(l *ledger) (g *Gate, end func()) { return rememberingFor(l, quiet{}) }

func rememberingFor(l *ledger, log Log) (g *Gate, end func()) {
	g = New(Options{Remember: time.Hour, Verifier: authenticate.New(nil, authenticate.Options{})}, l, nil, log)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); g.Run(ctx) }()
	return g, func() { cancel(); <-done }
}

func arrivals(g *Gate, n int) {
	for i := range n {
		g.Remember(&Mail{Submission: holdstore.Submission{MessageID: "<" + strconv.Itoa(i) + "@x.test>"},
			Message: mailmsg.Message{Fields: []policy.Field{{Name: "From", Value: " a@x.test"}}}})
	}
}

// Mail that comes in one by one is written together, and all of it at the end.
func TestWhatComesInIsWrittenTogetherAndAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &ledger{}
		g, end := remembering(l)
		arrivals(g, 3)
		synctest.Wait() // the first are taken, and wait for others
		arrivals(g, 2)
		<-time.After(2 * gatherTime) // by the clock of the bubble
		synctest.Wait()
		if l.kept != 5 || l.writes != 1 {
			t.Errorf("%d messages by %d writes", l.kept, l.writes)
		}
		arrivals(g, 2*batch+7)
		end()
		if l.kept != 2*batch+12 || l.writes > 5 {
			t.Errorf("%d messages by %d writes", l.kept, l.writes)
		}
	})
}

// While Redis is away nothing waits: not mail, and not the end of the daemon, beyond the write that is under way.
func TestTheEndDoesNotWaitForRedis(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &ledger{away: make(chan struct{})}
		g, end := remembering(l)
		arrivals(g, maxWaiting+10*batch)
		time.AfterFunc(gatherTime, func() { close(l.away) })
		end()
		if l.kept != 0 || l.writes != 1 || len(g.arrived) == 0 {
			t.Errorf("%d kept by %d writes, %d waiting", l.kept, l.writes, len(g.arrived))
		}
	})
}

// journal is a log that is read.
type journal struct {
	quiet
	said []string
}

func (j *journal) Trouble(what string, _ error)           { j.said = append(j.said, what) }
func (j *journal) Recovered(what string, _ time.Duration) { j.said = append(j.said, what) }

// The log says that mail is not remembered, and from when on it is.
func TestTheLogSaysThatMailIsRememberedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, log := &ledger{away: make(chan struct{})}, &journal{}
		close(l.away)
		g, end := rememberingFor(l, log)
		for range 3 {
			arrivals(g, 1)
			<-time.After(2 * gatherTime) // by the clock of the bubble
		}
		l.mu.Lock()
		l.away = nil
		l.mu.Unlock()
		arrivals(g, 2)
		end()
		if want := []string{"mail that comes in is not remembered, recalls of it will find nothing",
			"mail that comes in is remembered again"}; !slices.Equal(log.said, want) {
			t.Errorf("%q", log.said)
		}
	})
}

// While Redis is away, messages to a thousand recipients each take no more memory than the bound; ordinary ones are all
// remembered.
func TestWhatWaitsToBeRememberedIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &ledger{away: make(chan struct{})}
		g, end := remembering(l)
		m := &Mail{Submission: holdstore.Submission{MessageID: "<1@x.test>"},
			Message: mailmsg.Message{Fields: []policy.Field{{Name: "From", Value: " a@x.test"}}}}
		for n := range 1000 {
			to := holdstore.Path{Address: fmt.Sprintf("%s%d@corp.test", strings.Repeat("b", 200), n)}
			m.Recipients = append(m.Recipients, to)
		}
		for range maxWaiting {
			g.Remember(m)
		}
		if waits := g.waiting.Load(); waits > waitingBytes || waits < waitingBytes/2 {
			t.Errorf("%d bytes wait", waits)
		}
		close(l.away)
		end()
	})
	synctest.Test(t, func(t *testing.T) {
		l := &ledger{}
		g, end := remembering(l)
		arrivals(g, maxWaiting)
		end()
		if l.kept != maxWaiting || g.waiting.Load() != 0 {
			t.Errorf("%d kept, and %d bytes wait", l.kept, g.waiting.Load())
		}
	})
}
