package monitor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"go.uber.org/zap"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/maillog"
	"github.com/recall-milter/recall-milter/test/server"
)

func TestMain(m *testing.M) { os.Exit(server.WithoutLeaks(m)) }

// fixed is a store that says the same again and again.
type fixed struct{ err error }

func (f *fixed) Ready(context.Context) error                      { return f.err }
func (f *fixed) Writable(context.Context) error                   { return f.err }
func (f *fixed) Paused(context.Context) (*holdstore.Pause, error) { return &holdstore.Pause{}, f.err }
func (f *fixed) NextDue(context.Context) (time.Duration, bool, error) {
	return -30 * time.Second, true, f.err
}
func (f *fixed) Stats(context.Context) (holdstore.Stats, error) {
	return holdstore.Stats{Count: map[holdstore.State]int{holdstore.Held: 7}, Bytes: 1234,
		Oldest: time.Now().Add(-time.Minute)}, f.err
}

// monitored serves, and returns a function that asks for a path.
func monitored(t *testing.T, store *fixed, alive *bool) (*Metrics, func(path string) (int, string)) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	m := New(maillog.New(zap.NewNop(), false), store, "1.2.3")
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- Serve(ctx, l, m, store, func() bool { return *alive }) }()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return m, func(path string) (int, string) {
		t.Helper()
		r, err := client.Get("http://" + l.Addr().String() + path)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		text, _ := io.ReadAll(r.Body)
		return r.StatusCode, string(text)
	}
}

func TestMetricsCountWhatTheLogIsTold(t *testing.T) {
	alive := true
	m, get := monitored(t, &fixed{}, &alive)
	m.Held(holdstore.Submission{}, holdstore.Committed{}, holdstore.Terms{}, 100)
	m.Held(holdstore.Submission{}, holdstore.Committed{Found: true}, holdstore.Terms{}, 100)
	m.Deferred(holdstore.Submission{}, fmt.Errorf("%w: maxmemory", holdstore.ErrFull))
	m.Released(&holdstore.Hold{HeldAt: time.Now()}, 1, "250 ok", 30*time.Millisecond)
	m.Asked(&holdstore.Hold{}, "far.test", "1")
	m.Retracted("<1@corp.test>", "bert@far.test", "1", "retracted", "unread")
	_, text := get("/metrics")
	for _, line := range []string{`recall_milter_verdicts_total{reason="rule",verdict="hold"} 1`,
		`recall_milter_verdicts_total{reason="rule",verdict="hold_again"} 1`,
		`recall_milter_verdicts_total{reason="full",verdict="defer"} 1`,
		`recall_milter_verdicts_total{reason="away",verdict="unheld"} 0`, `recall_milter_held_bytes_total 100`,
		`recall_milter_requests_total 1`, `recall_milter_retractions_total{outcome="retracted"} 1`,
		`recall_milter_release_lateness_seconds_bucket{le="0.05"} 1`, `recall_milter_holds{state="held"} 7`,
		`recall_milter_store_bytes 1234`,
		`recall_milter_oldest_overdue_seconds 30`, `recall_milter_paused 1`, `recall_milter_store_up 1`,
		`recall_milter_build_info{version="1.2.3"} 1`} {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("missing: %s", line)
		}
	}
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	if err != nil || len(problems) > 0 {
		t.Errorf("%v %v", problems, err)
	}
}

func TestAStoreThatIsAwayIsSeenAndKeepsTheRest(t *testing.T) {
	alive := true
	_, get := monitored(t, &fixed{err: errors.New("connection refused")}, &alive)
	if code, text := get("/metrics"); code != 200 || !strings.Contains(text, "recall_milter_store_up 0\n") ||
		strings.Contains(text, "recall_milter_holds{") {
		t.Errorf("%d %s", code, text)
	}
	if code, text := get("/readyz"); code != 503 || !strings.Contains(text, "mail can't be held: connection refused") {
		t.Errorf("%d %s", code, text)
	}
	if code, _ := get("/livez"); code != 200 {
		t.Errorf("livez: %d", code)
	}
}

func TestReadyzAndMetricsNameWhatWaitsForARestart(t *testing.T) {
	alive := true
	m, get := monitored(t, &fixed{}, &alive)
	m.Reloaded("c.toml", "a1", []string{"listen", "redis.db"})
	if code, text := get("/readyz"); code != 200 ||
		text != "mail can be held\nchanged, and waiting for a restart: listen redis.db\n" {
		t.Errorf("%d %q", code, text)
	}
	m.ReloadRefused("x.toml", []string{"line 3"})
	_, text := get("/metrics")
	for _, line := range []string{`recall_milter_config_needs_restart{key="redis.db"} 1`,
		"recall_milter_config_reload_failing 1"} {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("missing: %s", line)
		}
	}
	m.Reloaded("c.toml", "a2", nil)
	if _, text := get("/readyz"); text != "mail can be held\n" {
		t.Errorf("%q", text)
	}
	if _, text := get("/metrics"); strings.Contains(text, "needs_restart{") ||
		!strings.Contains(text, "reload_failing 0\n") {
		t.Error("a reload that took all still leaves something")
	}
}

// hung is a store that never answers.
type hung struct{ fixed }

func (*hung) Writable(ctx context.Context) error {
	<-ctx.Done()
	time.Sleep(2 * time.Second)
	return nil
}

func TestReadyzDoesNotWaitForAStoreThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		var looks sync.WaitGroup
		if err := ready(t.Context(), &looks, silent(), &hung{}); err == nil || time.Since(began) >= time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		looks.Wait() // for the store's own time-out
		if took := time.Since(began); took < 2*time.Second {
			t.Errorf("the look was given up after %v, while the store was still being asked", took)
		}
	})
}

// defective is a store that panics.
type defective struct{ fixed }

func (*defective) Writable(context.Context) error { panic("no such thing") }

func TestAPanicInALookAtTheStoreEndsNothingElse(t *testing.T) {
	var looks sync.WaitGroup
	if err := ready(t.Context(), &looks, silent(), &defective{}); !errors.Is(err, holdstore.ErrDefect) {
		t.Error(err)
	}
}

func silent() *Metrics { return New(maillog.New(zap.NewNop(), false), &fixed{}, "1.2.3") }

func TestALoopThatStandsStillIsDead(t *testing.T) {
	alive := false
	_, get := monitored(t, &fixed{}, &alive)
	if code, _ := get("/livez"); code != 503 {
		t.Errorf("livez: %d", code)
	}
	if code, _ := get("/readyz"); code != 200 {
		t.Errorf("readyz: %d", code)
	}
}

// away is a trail that ends in an error after some entries.
type away struct {
	entries []holdstore.Entry
	asked   chan time.Time
}

func (a *away) Log(_ context.Context, since time.Time, _ bool) iter.Seq2[holdstore.Entry, error] {
	return func(yield func(holdstore.Entry, error) bool) {
		a.asked <- since
		for _, e := range a.entries {
			if e.At.Before(since) || yield(e, nil) {
				continue
			}
			return
		}
		yield(holdstore.Entry{}, errors.New("away"))
	}
}

func TestActsAreCountedOnceAlsoWhenTheStoreWasAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := New(maillog.New(zap.NewNop(), false), &fixed{}, "1")
		at := time.Now().Add(time.Second)
		trail := &away{asked: make(chan time.Time),
			entries: []holdstore.Entry{{At: at, Verb: "recall"}, {At: at, Verb: "recall refused"}, {At: at, Verb: "<b@x.test>"}}}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); m.Follow(ctx, trail) }()
		<-trail.asked
		if second := <-trail.asked; !second.After(at) {
			t.Errorf("asked again from %v", second)
		}
		cancel()
		<-done
		for _, verb := range []string{"recall", "recall_refused", "other"} {
			if n := testutil.ToFloat64(m.acts.WithLabelValues(verb)); n != 1 {
				t.Errorf("%s counted %v times", verb, n)
			}
		}
	})
}
