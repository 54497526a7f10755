package holdstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/test/server"
)

func TestMain(m *testing.M) { os.Exit(server.WithoutLeaks(m)) }

var alice = Actor{By: "alice (uid 1000)", From: "gw recallctl", Reason: "wrong attachment"}

func open(t *testing.T, addr string) *Store {
	t.Helper()
	s, err := Open(Options{Addresses: []string{addr}, Durability: "strict"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func submission(mark string) Submission {
	return Submission{QueueID: "Q" + mark, MessageID: "<" + mark + "@Mid.test>", Subject: "für " + mark, Login: "alice",
		Sender:     Path{Address: "Alice@corp.test", Args: []string{"RET=HDRS"}},
		Recipients: []Path{{Address: "bob@far.test"}, {Address: "carol\xff@far.test", Args: []string{"NOTIFY=NEVER"}}},
		Client:     Client{Address: "192.0.2.7", Port: 4711}}
}

func header(mark string) string { return "Subject: =?utf-8?q?f=C3=BCr?= " + mark + "\r\nX-A: b\r\n" }

// put holds a message with so large a body.
func put(t *testing.T, s *Store, mark string, grace time.Duration, body string) Committed {
	t.Helper()
	r, err := tryPut(s, mark, grace, body)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// nextMillisecond waits until another hold has another moment: two holds of one millisecond have no order.
func nextMillisecond(t *testing.T, r Committed) {
	t.Helper()
	server.Eventually(t, "a millisecond is over", func() bool { return time.Now().UnixMilli() > r.HeldAt.UnixMilli() })
}

func tryPut(s *Store, mark string, grace time.Duration, body string) (Committed, error) {
	p := s.Put(submission(mark), []byte(header(mark)))
	if err := p.Write(context.Background(), []byte(body)); err != nil {
		return Committed{}, err
	}
	return p.Commit(context.Background(), Terms{Rule: "default", Grace: grace})
}

func claimOne(t *testing.T, s *Store) *Claim {
	t.Helper()
	var cs []*Claim
	var err error
	server.Eventually(t, "the store answers", func() bool {
		cs, err = s.Claim(t.Context(), 10)
		return !errors.Is(err, ErrUnavailable)
	})
	if err != nil || len(cs) != 1 {
		t.Fatalf("claimed %d, %v, want 1", len(cs), err)
	}
	return cs[0]
}

func TestLifeOfAHold(t *testing.T) {
	s := open(t, server.StartRedis(t).Addr)
	ctx := t.Context()
	for _, size := range []int{0, 1, chunkSize, chunkSize + 1, 7*chunkSize + 3} {
		body := strings.Repeat("x", size)
		r := put(t, s, fmt.Sprint("m", size), 0, body)
		c := claimOne(t, s)
		if c.ID != r.ID || c.Recipients[1].Address != "carol\xff@far.test" || c.Attempts != 1 || c.LeaseLeft() <= 0 {
			t.Fatalf("claim is %+v", c)
		}
		got, err := io.ReadAll(s.Content(ctx, &c.Hold))
		if want := header(fmt.Sprint("m", size)) + "\r\n" + body; err != nil || string(got) != want ||
			int64(len(want)) != c.Size {
			t.Fatalf("size %d: content of %d bytes, %v", size, len(got), err)
		}
		if err := s.Renew(ctx, c); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Recall(ctx, c.ID, alice); !errors.Is(err, ErrTooLate) {
			t.Fatalf("recall while releasing: %v", err)
		}
		if err := s.Settle(ctx, c, Settlement{Results: map[int]Result{0: {Outcome: Sent}}}); !errors.Is(err, ErrNotNow) {
			t.Fatalf("settled with a pending recipient: %v", err)
		}
		if err := s.Settle(ctx, c,
			Settlement{Results: map[int]Result{0: {Outcome: Sent, Detail: "250 ok"}}, RetryIn: time.Hour}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Release(ctx, strings.ToLower(c.ID), alice); err != nil {
			t.Fatal(err)
		}
		c = claimOne(t, s)
		if err := s.Settle(ctx, c,
			Settlement{Results: map[int]Result{1: {Outcome: Failed, Detail: "550 no"}}, Detail: "done"}); err != nil {
			t.Fatal(err)
		}
		h, err := s.Get(ctx, c.ID)
		if err != nil || h.State != Released || h.Results[0].Detail != "250 ok" || h.Results[1].Outcome != Failed ||
			len(h.Timeline) != 4 {
			t.Fatalf("released: %+v, %v", h, err)
		}
		if _, err := io.ReadAll(s.Content(ctx, h)); !errors.Is(err, ErrNotFound) {
			t.Fatalf("content after release: %v", err)
		}
		if err := s.Settle(ctx, c, Settlement{RetryIn: time.Second}); !errors.Is(err, ErrLost) {
			t.Fatalf("settled twice: %v", err)
		}
	}
	st, err := s.Stats(ctx)
	if err != nil || st.Bytes != 0 || st.Count[Released] != 5 || !st.Oldest.IsZero() {
		t.Fatalf("stats %+v, %v", st, err)
	}
}

func TestRecallAndRestore(t *testing.T) {
	s := open(t, server.StartRedis(t).Addr)
	ctx := t.Context()
	r := put(t, s, "m", time.Hour, "body\r\n")
	h, err := s.Recall(ctx, r.ID, alice)
	if err != nil || h.State != Recalled || h.Results[0].Outcome != TakenBack || h.Results[0].At.IsZero() {
		t.Fatalf("recalled: %+v, %v", h, err)
	}
	for want, try := range map[error]func() (*Hold, error){
		ErrNotNow:   func() (*Hold, error) { return s.Recall(ctx, r.ID, alice) },
		ErrNotFound: func() (*Hold, error) { return s.Recall(ctx, "nonsense", alice) },
	} {
		if _, err := try(); !errors.Is(err, want) {
			t.Errorf("got %v, want %v", err, want)
		}
	}
	h, err = s.Restore(ctx, r.ID, alice)
	if err != nil || h.State != Held || h.Results[0].Outcome != Pending {
		t.Fatalf("restored: %+v, %v", h, err)
	}
	h, err = s.Extend(ctx, r.ID, time.Hour, alice)
	if err != nil || time.Until(h.Due) < 110*time.Minute {
		t.Fatalf("extended: %+v, %v", h, err)
	}
	if _, err := s.Restore(ctx, r.ID, alice); !errors.Is(err, ErrNotNow) {
		t.Errorf("restored twice: %v", err)
	}
	var verbs []string
	for e, err := range s.Log(ctx, time.Time{}, false) {
		if err != nil || e.By != alice.By || e.ID != r.ID {
			t.Fatalf("entry %+v, %v", e, err)
		}
		verbs = append(verbs, e.Verb)
	}
	if got := strings.Join(verbs, " "); got != "recall restore extend" {
		t.Errorf("the trail says %q", got)
	}
}

func TestRetryFindsTheUnconfirmedHold(t *testing.T) {
	s := open(t, server.StartRedis(t).Addr)
	first := put(t, s, "m", time.Hour, "body")
	again := put(t, s, "m", time.Hour, "body")
	if !again.Found || again.ID != first.ID || !again.Due.Equal(first.Due) {
		t.Fatalf("first %+v, again %+v", first, again)
	}
	if other := put(t, s, "m", time.Hour, "other"); other.Found {
		t.Fatal("another content was taken for the same")
	}
	s.Confirm(first)
	server.Eventually(t, "the confirmed message is a new one", func() bool {
		return !put(t, s, "m", time.Hour, "body").Found
	})
}

func TestFence(t *testing.T) {
	s := open(t, server.StartRedis(t).Addr)
	ctx := t.Context()
	cause := errors.New("timeout")

	late := s.Put(submission("late"), nil)
	if _, err := late.fence(cause); !errors.Is(err, ErrUnknown) {
		t.Fatalf("fence before the commit: %v", err)
	}
	if _, err := late.Commit(ctx, Terms{}); !errors.Is(err, ErrUnknown) {
		t.Fatalf("late commit: %v", err)
	}

	done := s.Put(submission("done"), nil)
	if _, err := done.Commit(ctx, Terms{Grace: time.Hour}); err != nil {
		t.Fatal(err)
	}
	if _, err := done.fence(cause); !errors.Is(err, ErrUnknown) {
		t.Fatal(err)
	}
	if _, err := s.Get(ctx, done.id); !errors.Is(err, ErrNotFound) {
		t.Fatalf("fenced hold is still there: %v", err)
	}

	relied := s.Put(submission("relied"), nil)
	if _, err := relied.Commit(ctx, Terms{Grace: time.Hour}); err != nil {
		t.Fatal(err)
	}
	if r, err := s.Put(submission("relied"), nil).Commit(ctx, Terms{}); err != nil || !r.Found {
		t.Fatalf("retry: %+v, %v", r, err)
	}
	if r, err := relied.fence(cause); err != nil || r.ID != relied.id {
		t.Fatalf("a hold that a retry relies on was fenced: %+v, %v", r, err)
	}
}

func TestUnansweredCommitIsNotHeldTwice(t *testing.T) {
	srv := server.StartRedis(t)
	s := open(t, srv.Addr)
	put(t, s, "warm", time.Hour, "")
	srv.Pause()
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	_, err := s.Put(submission("m"), nil).Commit(ctx, Terms{Grace: time.Hour})
	srv.Resume()
	if !errors.Is(err, ErrUnavailable) {
		t.Fatalf("commit into a silent server: %v", err)
	}
	server.Eventually(t, "the store takes the retry", func() bool {
		_, err = s.Put(submission("m"), nil).Commit(t.Context(), Terms{Grace: time.Hour})
		return err == nil
	})
	hs, err := s.Resolve(t.Context(), "m@Mid.test")
	if err != nil || len(hs) != 1 {
		t.Fatalf("held %d times, %v", len(hs), err)
	}
}

func TestRecallAndClaimNeverBothWin(t *testing.T) {
	s := open(t, server.StartRedis(t).Addr)
	ctx := t.Context()
	const n = 300
	ids := make([]string, n)
	for i := range ids {
		ids[i] = put(t, s, fmt.Sprint("m", i), 0, "").ID
	}
	var mu sync.Mutex
	won := map[string]int{}
	win := func(id string) { mu.Lock(); won[id]++; mu.Unlock() }
	var work sync.WaitGroup
	recalled := 0
	for w := range 8 {
		work.Go(func() {
			for i := w; i < n; i += 8 {
				_, err := s.Recall(ctx, ids[n-1-i], alice)
				if err == nil {
					win(ids[n-1-i])
					mu.Lock()
					recalled++
					mu.Unlock()
				} else if !errors.Is(err, ErrTooLate) {
					t.Error(err)
				}
			}
		})
	}
	for range 4 {
		work.Go(func() {
			for {
				cs, err := s.Claim(ctx, 3)
				if err != nil {
					t.Error(err)
				}
				for _, c := range cs {
					win(c.ID)
				}
				if len(cs) == 0 {
					return
				}
			}
		})
	}
	work.Wait()
	for _, id := range ids {
		if won[id] != 1 {
			t.Errorf("%s was won %d times", id, won[id])
		}
	}
	t.Logf("%d recalled, %d claimed", recalled, n-recalled)
}

func TestExpiredLeaseGoesBack(t *testing.T) {
	s := open(t, server.StartRedis(t).Addr)
	s.lease = time.Millisecond
	put(t, s, "m", 0, "")
	c := claimOne(t, s)
	server.Eventually(t, "the lease is taken back", func() bool {
		r, err := s.Reap(t.Context())
		return err == nil && r.LeasesExpired == 1
	})
	if err := s.Renew(t.Context(), c); !errors.Is(err, ErrLost) {
		t.Fatalf("renewed: %v", err)
	}
	s.lease = leaseTime
	again := claimOne(t, s)
	if again.Attempts != 2 {
		t.Errorf("attempts %d", again.Attempts)
	}
	if err := s.GiveBack(t.Context(), c); !errors.Is(err, ErrLost) {
		t.Fatalf("gave back another's lease: %v", err)
	}
	if err := s.GiveBack(t.Context(), again); err != nil || claimOne(t, s).Attempts != 2 {
		t.Fatalf("give back: %v", err)
	}
}

// Another gateway takes a lease over at its end by Redis's clock, not before; and whoever held it knows by then that it
// is over.
func TestALeaseIsTakenOverAtItsEndAndNotBefore(t *testing.T) {
	t.Parallel()
	srv := server.StartRedis(t)
	s, other := open(t, srv.Addr), open(t, srv.Addr)
	s.lease, other.lease = time.Second, time.Hour
	ctx, ends := t.Context(), stateKey(s.nodes.Shards[0], Releasing)
	put(t, s, "m", 0, "")
	c := claimOne(t, s)
	if err := s.Renew(ctx, c); err != nil { // it ends a little later
		t.Fatal(err)
	}
	end := s.nodes.Client.ZScore(ctx, ends, c.ID).Val()
	server.Eventually(t, "another takes it over", func() bool {
		if _, err := other.Reap(ctx); err != nil {
			t.Fatal(err)
		}
		cs, err := other.Claim(ctx, 1)
		if left := c.LeaseLeft(); len(cs) > 0 && left > 0 {
			t.Errorf("its lease still runs for %v", left)
		}
		return err == nil && len(cs) == 1
	})
	taken := s.nodes.Client.ZScore(ctx, ends, c.ID).Val() - float64(other.lease.Milliseconds())
	if late := time.Duration(taken-end) * time.Millisecond; late < 0 || late > leaseTime {
		t.Errorf("taken over %v after its end", late)
	}
}

func TestKilledRedisKeepsEverything(t *testing.T) {
	srv := server.StartRedis(t)
	s := open(t, srv.Addr)
	wake := s.Wake(t.Context())
	var want []Committed
	for i := range 20 {
		want = append(want, put(t, s, fmt.Sprint("m", i), time.Hour, "body"))
	}
	<-wake
	srv.Kill()
	if _, err := tryPut(s, "away", 0, ""); !errors.Is(err, ErrUnavailable) {
		t.Fatalf("put with redis away: %v", err)
	}
	srv.Start()
	for _, r := range want {
		var h *Hold
		server.Eventually(t, "the hold is read", func() bool {
			var err error
			h, err = s.Get(t.Context(), r.ID)
			return err == nil
		})
		if b, err := io.ReadAll(s.Content(t.Context(), h)); err != nil || !bytes.HasSuffix(b, []byte("\r\n\r\nbody")) {
			t.Fatalf("%s: %q, %v", r.ID, b, err)
		}
	}
	<-wake // also after the reconnect
	if wait, ok, err := s.NextDue(t.Context()); err != nil || !ok || wait <= 0 || wait > time.Hour {
		t.Errorf("next due %v %v %v", wait, ok, err)
	}
}

func TestFullStoreRefusesAndDrains(t *testing.T) {
	srv := server.StartRedis(t)
	s := open(t, srv.Addr)
	a, b := put(t, s, "a", time.Hour, "x"), put(t, s, "b", 0, "x")
	if err := s.nodes.Client.ConfigSet(t.Context(), "maxmemory", "1").Err(); err != nil {
		t.Fatal(err)
	}
	if _, err := tryPut(s, "c", 0, "x"); !errors.Is(err, ErrFull) {
		t.Fatalf("put into a full store: %v", err)
	}
	if err := s.Writable(t.Context()); !errors.Is(err, ErrFull) {
		t.Errorf("a full store is writable: %v", err)
	}
	if _, err := s.Recall(t.Context(), a.ID, alice); err != nil {
		t.Errorf("recall: %v", err)
	}
	c := claimOne(t, s)
	done := Settlement{Results: map[int]Result{0: {Outcome: Sent}, 1: {Outcome: Sent}}}
	if err := s.Settle(t.Context(), c, done); err != nil || c.ID != b.ID {
		t.Errorf("settle: %v", err)
	}
}

func TestRefusesWhatCouldLoseMail(t *testing.T) {
	for setting, value := range map[string]string{
		"appendonly": "no", "appendfsync": "everysec", "maxmemory-policy": "allkeys-lru",
	} {
		addr := server.StartRedis(t, "--"+setting, value).Addr
		_, err := tryPut(open(t, addr), "m", 0, "")
		if !errors.Is(err, ErrNotDurable) || !strings.Contains(err.Error(), "CONFIG SET "+setting) {
			t.Errorf("%s %s: %v", setting, value, err)
		}
		if err := openWith(t, Options{Addresses: []string{addr}, Durability: "relaxed"}).Ready(t.Context()); err != nil {
			t.Errorf("relaxed: %v", err)
		}
	}
}

func TestFind(t *testing.T) {
	s := open(t, server.StartRedis(t).Addr)
	ctx := t.Context()
	late, soon := put(t, s, "late", 2*time.Hour, ""), put(t, s, "soon", time.Hour, "")
	both := soon.ID + " " + late.ID
	for _, c := range []struct {
		name, want string
		q          Query
	}{
		{"all, soonest first", both, Query{}},
		{"sender", both, Query{Sender: "alice@CORP.test"}},
		{"sender glob", both, Query{Sender: "al*@corp.tes?"}},
		{"no such sender", "", Query{Sender: "eve@corp.test"}},
		{"recipient", both, Query{Recipient: "bob@far.test"}},
		{"recipient glob", "", Query{Recipient: "*@near.test"}},
		{"login", both, Query{Login: "alice"}},
		{"client", both, Query{Client: "192.0.2.7"}},
		{"network", both, Query{Client: "192.0.2.0/24"}},
		{"other network", "", Query{Client: "198.51.100.0/24"}},
		{"subject", late.ID, Query{Subject: "FÜR late"}},
		{"subject glob", soon.ID, Query{Subject: "*so?n"}},
		{"until", "", Query{Until: soon.HeldAt.Add(-time.Hour)}},
		{"since", "", Query{Sender: "alice@corp.test", Since: soon.HeldAt.Add(time.Hour)}},
		{"state", "", Query{States: []State{Recalled}}},
	} {
		var got []string
		for h, err := range s.Find(ctx, c.q) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, h.ID)
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: got %v, want %q", c.name, got, c.want)
		}
	}
	for _, ref := range []string{"<soon@Mid.test>", "soon@Mid.test", "Qsoon", strings.ToLower(soon.ID)} {
		if hs, err := s.Resolve(ctx, ref); err != nil || len(hs) != 1 || hs[0].ID != soon.ID {
			t.Errorf("resolve %s: %v, %v", ref, hs, err)
		}
	}
	one, err := s.Secret(ctx)
	two, _ := s.Secret(ctx)
	if err != nil || len(one) != 32 || !bytes.Equal(one, two) {
		t.Errorf("secret: %v", err)
	}
}

func TestAbandonAfterCommitKeepsTheContent(t *testing.T) {
	s := open(t, server.StartRedis(t).Addr)
	p := s.Put(submission("m"), []byte(header("m")))
	r, err := p.Commit(t.Context(), Terms{Grace: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	p.Abandon()
	h, err := s.Get(t.Context(), r.ID)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(s.Content(t.Context(), h)); err != nil {
		t.Fatal(err)
	}
}
