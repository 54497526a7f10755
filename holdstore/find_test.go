package holdstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/recall-milter/recall-milter/test/server"
)

// many puts n messages of a login fast.
func many(t *testing.T, s *Store, login string, n int, grace func(i int) time.Duration) (ids []string) {
	t.Helper()
	server.Eventually(t, "redis is ready", func() bool { return s.Ready(t.Context()) == nil })
	ids = make([]string, n)
	var wg sync.WaitGroup
	for w := range 32 {
		wg.Go(func() {
			for i := w; i < n; i += 32 {
				sub := Submission{MessageID: fmt.Sprintf("<%s%d@mid.test>", login, i),
					Subject: fmt.Sprintf("number %d of %s", i, login), Login: login,
					Sender: Path{Address: login + "@corp.test"}, Recipients: []Path{{Address: fmt.Sprintf("r%d@far.test", i)}}}
				r, err := s.Put(sub, []byte("Subject: "+sub.Subject+"\r\n")).Commit(context.Background(),
					Terms{Rule: "default", Grace: grace(i)})
				if err != nil {
					t.Error(err)
				}
				ids[i] = r.ID
			}
		})
	}
	wg.Wait()
	return ids
}

func collect(t *testing.T, s *Store, q Query) (ids []string) {
	t.Helper()
	for h, err := range s.Find(t.Context(), q) {
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, h.ID)
	}
	return ids
}

func TestFindIsInOrderWhateverAnswers(t *testing.T) {
	s := openWith(t, Options{Addresses: []string{server.StartRedis(t, "--appendfsync", "no").Addr}, Durability: "relaxed"})
	const n = 2500 // several pages, with equal moments at their borders
	ids := many(t, s, "mallory", n, func(i int) time.Duration { return time.Hour - time.Duration(i/700)*time.Minute })
	many(t, s, "bob", 10, func(int) time.Duration { return 2 * time.Hour })
	for what, q := range map[string]Query{"state": {}, "login": {Login: "mallory"}, "pattern": {Sender: "m*@corp.test"},
		"since": {Since: time.Now().Add(-time.Hour)}} {
		var last time.Time
		var got []string
		for h, err := range s.Find(t.Context(), q) {
			if err != nil {
				t.Fatal(err)
			}
			if h.Due.Before(last) {
				t.Fatalf("%s: %v after %v", what, h.Due, last)
			}
			if last = h.Due; h.Login == "mallory" {
				got = append(got, h.ID)
			}
		}
		slices.Sort(got)
		if want := slices.Sorted(slices.Values(ids)); !slices.Equal(got, want) {
			t.Errorf("%s: %d of %d", what, len(got), n)
		}
	}
	looked := 0
	q := Query{Subject: "number 7 of*", Progress: func(n, of int) {
		if looked = n; n > of {
			t.Errorf("%d of %d", n, of)
		}
	}}
	if got := collect(t, s, q); len(got) != 2 || looked != n+10 {
		t.Errorf("by subject %d, looked at %d", len(got), looked)
	}
	if got := collect(t, s, Query{Recipient: "r77@far.test"}); len(got) != 1 || got[0] != ids[77] {
		t.Errorf("by recipient: %v", got)
	}
	if got := collect(t, s, Query{Until: time.Now().Add(-time.Hour)}); len(got) != 0 {
		t.Errorf("held an hour ago: %v", got)
	}
}

// What leaves while a search walks does not make it miss what stays.
func TestFindWhileHoldsLeave(t *testing.T) {
	s := openWith(t, Options{Addresses: []string{server.StartRedis(t, "--appendfsync", "no").Addr}, Durability: "relaxed"})
	due := time.Now().Add(time.Hour).UnixMilli()
	ids := many(t, s, "m", 1500, func(int) time.Duration { return time.Hour })
	for _, id := range ids { // all at one moment
		s.nodes.Client.ZAdd(t.Context(), stateKey(s.nodes.Shards[0], Held), redis.Z{Score: float64(due), Member: id})
	}
	slices.Sort(ids)
	var got []string
	for h, err := range s.Find(t.Context(), Query{}) {
		if err != nil {
			t.Fatal(err)
		}
		if got = append(got, h.ID); len(got) == 1 {
			s.nodes.Client.ZRem(t.Context(), stateKey(s.nodes.Shards[0], Held), ids[:300])
		}
	}
	if !slices.Equal(distinct(got), ids) {
		t.Errorf("%d of %d", len(got), len(ids))
	}
}

func TestADamagedRecordHidesNoOther(t *testing.T) {
	s := open(t, server.StartRedis(t).Addr)
	put(t, s, "a", time.Hour, "")
	bad := put(t, s, "b", time.Hour, "")
	put(t, s, "c", time.Hour, "")
	pack(s, bad.ID, func(p string) string { return strings.ReplaceAll(p, "}", "") })
	seen, last := 0, error(nil)
	for h, err := range s.Find(t.Context(), Query{}) {
		if last = err; h != nil {
			seen++
		}
	}
	if seen != 2 || !errors.Is(last, ErrDamaged) || !strings.Contains(last.Error(), bad.ID) {
		t.Errorf("%d, then %v", seen, last)
	}
	for name, search := range map[string]func() ([]*Hold, error){
		"Latest":  func() ([]*Hold, error) { return s.Latest(t.Context(), Whose{Login: "alice"}, 9, nil) },
		"GetSome": func() ([]*Hold, error) { ids, _ := s.WaitingIDs(t.Context()); return s.GetSome(t.Context(), ids) },
	} {
		if holds, err := search(); err != nil || len(holds) != 2 {
			t.Errorf("%s: %d holds (%v)", name, len(holds), err)
		}
	}
}

func TestSealedSubjectsAreFound(t *testing.T) {
	s := openSealed(t, server.StartRedis(t).Addr, key(1))
	long := strings.Repeat("long ", 120)
	want := map[string]string{}
	for _, subject := range []string{"price list", "für you", long + "needle", ""} {
		sub := submission("m" + fmt.Sprint(len(subject)))
		sub.Subject = subject
		r, err := s.Put(sub, []byte("Subject: "+subject+"\r\n")).Commit(t.Context(), Terms{Grace: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		want[subject] = r.ID
	}
	for pattern, subject := range map[string]string{"PRICE": "price list", "für you": "für you", "needle": long +
		"needle"} {
		if got := collect(t, s, Query{Subject: pattern}); len(got) != 1 || got[0] != want[subject] {
			t.Errorf("%s: %v", pattern, got)
		}
	}
}

func TestBulk(t *testing.T) {
	redis := server.StartRedis(t, "--appendfsync", "no")
	s := openWith(t, Options{Addresses: []string{redis.Addr}, Durability: "relaxed"})
	ids := many(t, s, "mallory", 1000, func(int) time.Duration { return time.Hour })
	if _, err := s.Recall(t.Context(), ids[0], alice); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Release(t.Context(), ids[1], alice); err != nil {
		t.Fatal(err)
	}
	claimOne(t, s)
	count := map[error]int{}
	err := s.Bulk(t.Context(), s.Recalling(), append(ids, "2222222222222"), alice, func(some []Acted) {
		for _, a := range some {
			for _, e := range []error{nil, ErrTooLate, ErrNotNow, ErrNotFound} {
				if errors.Is(a.Err, e) {
					count[e]++
				}
			}
		}
	})
	if err != nil || count[nil] != 998 || count[ErrNotNow] != 1 || count[ErrTooLate] != 1 || count[ErrNotFound] != 1 {
		t.Fatalf("%v %v", count, err)
	}
	h, err := s.Get(t.Context(), ids[500])
	if last := h.Timeline[len(h.Timeline)-1]; err != nil || h.State != Recalled || last.By != alice.By ||
		last.Detail != alice.Reason {
		t.Errorf("%+v %v", h, err)
	}
	trail := map[string]int{}
	for e, err := range s.Log(t.Context(), time.Time{}, false) {
		if err != nil || e.By != alice.By || e.Reason != alice.Reason {
			t.Fatalf("%+v %v", e, err)
		}
		if e.Verb == "recall" {
			trail[e.ID]++
		}
	}
	if len(trail) != 999 || trail[ids[999]] != 1 {
		t.Errorf("%d holds are in the trail", len(trail))
	}
	if n := s.nodes.Client.XLen(t.Context(), logKey(s.nodes.Shards[0])).Val(); n > 20 {
		t.Errorf("the trail has %d entries", n)
	}
}

// What Redis takes down with it is not told, and the rest is as it was: the same command goes on.
func TestBulkIsCut(t *testing.T) {
	redis := server.StartRedis(t)
	s := open(t, redis.Addr)
	ids := many(t, s, "mallory", 2000, func(int) time.Duration { return time.Hour })
	told := 0
	err := s.Bulk(t.Context(), s.Recalling(), ids, alice, func(some []Acted) {
		for _, a := range some {
			if a.Changed() {
				told++
			} else if !errors.Is(a.Err, ErrUnavailable) {
				t.Errorf("%s: %v", a.ID, a.Err)
			}
		}
		redis.Kill()
	})
	if !errors.Is(err, ErrUnavailable) || told == 0 || told == len(ids) {
		t.Fatalf("told %d, then %v", told, err)
	}
	redis.Start()
	server.Eventually(t, "redis has read its data", func() bool { return s.nodes.Client.Ping(t.Context()).Err() == nil })
	ctx, cancel := context.WithCancel(t.Context())
	rest := collect(t, s, Query{Login: "mallory", States: []State{Held}, AnyOrder: true})
	if len(rest) > len(ids)-told || len(rest) == 0 { // what nobody was told of may be done
		t.Fatalf("%d told, %d left", told, len(rest))
	}
	again := 0
	if err := s.Bulk(ctx, s.Recalling(), rest, alice,
		func(some []Acted) { again += len(some); cancel() }); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
	rest = collect(t, s, Query{Login: "mallory", States: []State{Held}, AnyOrder: true})
	if err := s.Bulk(t.Context(), s.Recalling(), rest, alice,
		func(some []Acted) { again += len(some) }); err != nil || len(rest) == 0 {
		t.Error(len(rest), err)
	}
	if st, err := s.Stats(t.Context()); err != nil || st.Count[Recalled] != len(ids) || st.Count[Held] != 0 {
		t.Errorf("%+v %v", st, err)
	}
}
