package holdstore

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/test/server"
)

var done = Settlement{Results: map[int]Result{0: {Outcome: Sent, Detail: "250 ok"}, 1: {Outcome: Sent}}}

// claimAll leases what is due.
func claimAll(t *testing.T, s *Store, want int) []*Claim {
	t.Helper()
	cs, err := s.Claim(t.Context(), want+1)
	if err != nil || len(cs) != want {
		t.Fatalf("claimed %d, %v, want %d", len(cs), err, want)
	}
	return cs
}

func TestWhatIsSettledTogetherIsSettledEachByItself(t *testing.T) {
	r := server.StartRedis(t)
	s := open(t, r.Addr)
	for n := range 40 {
		put(t, s, fmt.Sprintf("m%02d", n), 0, "body")
	}
	cs := claimAll(t, s, 40)
	kinds := []struct {
		spoil func(c *Claim)
		want  func(err error) bool
		state State
	}{
		{func(*Claim) {}, func(err error) bool { return err == nil }, Released},
		{func(c *Claim) { c.token = "another" }, func(err error) bool { return errors.Is(err, ErrLost) }, Releasing},
		{func(c *Claim) { r.Do("HSET " + holdKey(s.nodes.Of(c.ID), c.ID) + " r1 nonsense") },
			func(err error) bool { return err == nil }, Released}, // what the attempt brought counts
		{func(c *Claim) { r.Do("HSET " + holdKey(s.nodes.Of(c.ID), c.ID) + " state held") },
			func(err error) bool { return errors.Is(err, ErrLost) }, Held},
	}
	for n, c := range cs {
		kinds[n%len(kinds)].spoil(c)
	}
	var all []*settling
	for n, c := range cs {
		what := done
		if n%len(kinds) == 2 {
			what.Defect = "a panic"
		}
		all = append(all, &settling{id: c.ID, args: s.settleArgs(c, what)})
	}
	all = append(all, &settling{id: cs[0].ID, args: s.settleArgs(cs[0], done)}) // once more
	s.settleAll(s.nodes.Shards[0], all)
	for n, c := range cs {
		k := kinds[n%len(kinds)]
		state, err := s.States(t.Context(), []string{c.ID})
		if err != nil {
			t.Fatal(err)
		}
		if !k.want(all[n].err) || state[0] != k.state {
			t.Errorf("kind %d is %s: %v", n%len(kinds), state[0], all[n].err)
		}
	}
	if !errors.Is(all[len(cs)].err, ErrLost) {
		t.Errorf("settled twice: %v", all[len(cs)].err)
	}
	if st, err := s.Stats(t.Context()); err != nil || st.Count[Released] != 20 || st.Bytes != 20*cs[0].Size {
		t.Errorf("stats %+v, %v", st, err)
	}
}

func TestManyAttemptsEndAtOnce(t *testing.T) {
	s := open(t, server.StartRedis(t).Addr)
	const n = 200
	for i := range n {
		put(t, s, fmt.Sprint("m", i), 0, "body")
	}
	var work sync.WaitGroup
	for range 8 {
		work.Go(func() {
			cs, err := s.Claim(t.Context(), 1)
			for err == nil && len(cs) > 0 && cs[0] != nil {
				cs[0], err = s.SettleNext(t.Context(), cs[0], done)
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	work.Wait()
	if st, err := s.Stats(t.Context()); err != nil || st.Count[Released] != n || st.Bytes != 0 {
		t.Errorf("stats %+v, %v", st, err)
	}
}

func TestASettlementBringsTheNextHoldThatIsDue(t *testing.T) {
	s := open(t, server.StartRedis(t).Addr)
	ctx := t.Context()
	next := func(c *Claim) *Claim {
		t.Helper()
		got, err := s.SettleNext(ctx, c, done)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	put(t, s, "m0", 0, "body")
	c := claimOne(t, s)
	later := put(t, s, "later", time.Hour, "body")
	if got := next(c); got != nil {
		t.Fatalf("%s is not due", got.ID)
	}
	first := put(t, s, "first", 0, "body")
	c = claimOne(t, s)
	second := put(t, s, "second", 0, "body")
	got := next(c)
	if got == nil || c.ID != first.ID || got.ID != second.ID || got.LeaseLeft() <= 0 || got.Attempts != 1 {
		t.Fatalf("after %s comes %+v", c.ID, got)
	}
	if _, err := s.Recall(ctx, got.ID, alice); !errors.Is(err, ErrTooLate) {
		t.Errorf("recall of the next: %v", err)
	}
	put(t, s, "third", 0, "body")
	if _, err := s.Pause(ctx, alice); err != nil {
		t.Fatal(err)
	}
	if got := next(got); got != nil {
		t.Errorf("%s begins while releases are paused", got.ID)
	}
	if _, err := s.Resume(ctx, alice); err != nil {
		t.Fatal(err)
	}
	// A daemon that has lost its lease takes no other hold.
	c = claimOne(t, s)
	c.token = "another"
	nobodys := put(t, s, "nobody's", 0, "body")
	if got, err := s.SettleNext(ctx, c, done); got != nil || !errors.Is(err, ErrLost) {
		t.Errorf("%v, %v", got, err)
	}
	if h, err := s.Get(ctx, nobodys.ID); err != nil || h.State != Held || h.Attempts != 0 {
		t.Errorf("not given back: %+v, %v", h, err)
	}
	if h, err := s.Get(ctx, later.ID); err != nil || h.State != Held {
		t.Errorf("%+v, %v", h, err)
	}
}

func TestASmallMessageComesWithItsClaim(t *testing.T) {
	r := server.StartRedis(t)
	s := open(t, r.Addr)
	ctx := t.Context()
	gets := func() string {
		_, text, _ := strings.Cut(r.Do("INFO commandstats"), "cmdstat_get:calls=")
		text, _, _ = strings.Cut(text, ",")
		return text
	}
	bodies := map[string]string{"empty": "", "small": "body\r\n", "large": strings.Repeat("y", 2*chunkSize+5)}
	for mark, body := range bodies {
		put(t, s, mark, 0, body)
		c := claimOne(t, s)
		before := gets()
		h, err := s.Header(ctx, &c.Hold)
		if err != nil || string(h) != header(mark) {
			t.Errorf("%s: header %q, %v", mark, h, err)
		}
		if after := gets(); after != before {
			t.Errorf("%s: Redis was asked for the header: %s GETs, and %s before", mark, after, before)
		}
		text, err := io.ReadAll(s.Content(ctx, &c.Hold))
		if err != nil || string(text) != header(mark)+"\r\n"+body {
			t.Errorf("%s: content of %d bytes, %v", mark, len(text), err)
		}
		if after := gets(); mark != "large" && after != before {
			t.Errorf("%s: Redis was asked for the content: %s GETs, and %s before", mark, after, before)
		}
		var copied strings.Builder
		if n, err := io.Copy(&copied, s.Content(ctx, &c.Hold)); err != nil || n != c.Size || copied.String() != string(text) {
			t.Errorf("%s: copied %d bytes, %v", mark, n, err)
		}
		if err := s.Settle(ctx, c, done); err != nil {
			t.Fatal(err)
		}
	}
}

func TestClaimsBringNoMoreThanTheyHaveRoomFor(t *testing.T) {
	s := open(t, server.StartRedis(t).Addr)
	const n = 30
	body := make([]byte, 50_000)
	rand.Read(body) // not to be compressed
	for i := range n {
		put(t, s, fmt.Sprint("m", i), 0, string(body))
	}
	came := 0
	for _, c := range claimAll(t, s, n) {
		if c.first.Text != nil {
			came++
		}
		if text, err := io.ReadAll(s.Content(t.Context(), &c.Hold)); err != nil || int64(len(text)) != c.Size {
			t.Errorf("%d bytes, %v", len(text), err)
		}
	}
	if want := claimContent / len(body); came != want {
		t.Errorf("%d came with their claims, want %d", came, want)
	}
}
