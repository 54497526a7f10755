package test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/test/server"
)

// siege is a gateway whose store is small, while strangers and one login put into it what they can.
type siege struct {
	*gateway
	store *holdstore.Store

	remembered, refused, taken atomic.Int64
	held, recalled             []time.Duration // how long the users' mail took to be held, and to be recalled
}

// TestNobodyFillsTheStoreForOthers is short here; "make torture" runs it for minutes. Strangers send without a pause,
// one login does what it can, and the mail of 20 users is held and recalled in time throughout.
func TestNobodyFillsTheStoreForOthers(t *testing.T) {
	t.Parallel()
	runFor, wave := 15*time.Second, 20
	if text := os.Getenv("TORTURE"); text != "" {
		var err error
		if runFor, err = time.ParseDuration(text); err != nil {
			t.Fatal(err)
		}
	}
	s := &siege{gateway: startGateway(t, "1h")}
	s.redis.Do("CONFIG SET maxmemory 64mb")
	store, err := holdstore.Open(holdstore.Options{Addresses: []string{s.redis.Addr}})
	s.must(err)
	t.Cleanup(func() { store.Close() })
	s.store = store
	for n := range 2 * wave { // while nobody attacks
		s.user(n%20, 2_000_000+n)
	}
	idleHeld, idleRecalled := middle(s.held), middle(s.recalled)
	s.held, s.recalled = nil, nil
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for hand := range 2 {
		wg.Go(func() { s.strangers(ctx, hand) })
		wg.Go(func() { s.mallory(ctx, hand) })
	}
	end := time.Now().Add(runFor)
	for n := 0; n < wave || time.Now().Before(end); n++ {
		s.user(n%20, n)
	}
	server.Eventually(t, "the attackers met their bounds", func() bool {
		st, err := store.Stats(t.Context())
		return s.refused.Load() > 0 && err == nil && st.Remembering.Early > 0
	})
	for n := range wave { // and when all parts are full
		s.user(n, 1_000_000+n)
	}
	cancel()
	wg.Wait()
	st, err := store.Stats(t.Context())
	s.must(err)
	used, _ := strconv.Atoi(regexp.MustCompile(`used_memory:(\d+)`).FindStringSubmatch(s.redis.Do("INFO memory"))[1])
	t.Logf("strangers: %d messages, of which %d are remembered in %d MB; one login: %d held, %d refused; memory: %d MB",
		s.remembered.Load(), st.Remembering.Messages, st.Remembering.Bytes>>20, s.taken.Load(), s.refused.Load(), used>>20)
	ratio := func(some []time.Duration, idle time.Duration) string {
		return fmt.Sprintf("in the middle %.1f times of %v without the attack, slowest %v",
			float64(middle(some))/float64(idle), idle.Round(time.Microsecond), slices.Max(some).Round(time.Millisecond))
	}
	t.Logf("%d messages of the 20 users: held %s; recalled %s", len(s.held), ratio(s.held, idleHeld),
		ratio(s.recalled, idleRecalled))
	if used > 56<<20 {
		t.Errorf("the store has %d of 64 MB", used>>20)
	}
}

// middle is the median.
func middle(all []time.Duration) time.Duration {
	return slices.Sorted(slices.Values(all))[len(all)/2]
}

// strangers send mail that is remembered.
func (s *siege) strangers(ctx context.Context, hand int) {
	for n := 0; ctx.Err() == nil; n += 100 {
		var all []holdstore.Remembered
		for i := range 100 {
			all = append(all, holdstore.Remembered{MessageID: fmt.Sprintf("<%d.%d@stranger.test>", hand, n+i),
				From:     fmt.Sprintf("s%d@stranger.test", n+i),
				Subjects: []string{strconv.Itoa(n + i)}, Recipients: []string{"bert@corp.test"}, At: time.Now(),
				Ways: []holdstore.Way{{Client: fmt.Sprintf("10.%d.%d.1", (n+i)%200, hand)}}})
		}
		if s.store.Remember(ctx, all, 7*24*time.Hour) == nil {
			s.remembered.Add(100)
		}
	}
}

// mallory has one login, and sends large and small messages to few and to many that wait for a day; mallory recalls
// some of them.
func (s *siege) mallory(ctx context.Context, hand int) {
	for n := 0; ctx.Err() == nil; n++ {
		sub := holdstore.Submission{Login: "mallory", MessageID: fmt.Sprintf("<m%d.%d@corp.test>", hand, n),
			Sender: holdstore.Path{Address: "mallory@corp.test"}}
		for r := range []int{1, 1, 500}[n%3] {
			sub.Recipients = append(sub.Recipients,
				holdstore.Path{Address: fmt.Sprintf("%s%d@%s.test", strings.Repeat("a", 60), r, strings.Repeat("b", 60))})
		}
		p := s.store.Put(sub, []byte("Subject: x\r\n"))
		err := p.Write(ctx, noise([]int{500, 50_000, 600_000}[n%3], uint64(hand*1_000_000+n+1)))
		var held holdstore.Committed
		if err == nil {
			held, err = p.Commit(ctx, holdstore.Terms{Rule: "default", Grace: 24 * time.Hour})
		}
		p.Abandon()
		switch {
		case err == nil && n%5 == 0:
			s.store.Recall(ctx, held.ID, holdstore.Actor{By: "mallory"})
			fallthrough
		case err == nil:
			s.taken.Add(1)
		case errors.Is(err, holdstore.ErrQuota):
			s.refused.Add(1)
			pauseFor(ctx, 10*time.Millisecond)
		}
	}
}

// pauseFor keeps a hand that is refused from turning in circles.
func pauseFor(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// noise are bytes that do not get smaller.
func noise(n int, seed uint64) []byte {
	b := make([]byte, n)
	for i := range b {
		seed ^= seed << 13
		seed ^= seed >> 7
		seed ^= seed << 17
		b[i] = byte(seed)
	}
	return b
}

// user sends a message through the MTA at the first go, and recalls it.
func (s *siege) user(user, n int) {
	s.t.Helper()
	const inTime = 30 * time.Second // on a machine under load; else milliseconds
	began := time.Now()
	id := fmt.Sprintf("user%d.%d@corp.test", user, n)
	if err := s.send(id); err != nil {
		s.t.Errorf("the mail of user %d is not held: %v", user, err)
		return
	}
	s.held = append(s.held, time.Since(began))
	holds, err := s.store.Resolve(s.t.Context(), "<"+id+">")
	if err != nil || len(holds) != 1 {
		s.t.Errorf("the mail of user %d is not found: %v", user, err)
		return
	}
	asked := time.Now()
	if h, err := s.store.Recall(s.t.Context(), holds[0].ID, holdstore.Actor{By: "user"}); err != nil ||
		h.State != holdstore.Recalled {
		s.t.Errorf("the mail of user %d is not recalled: %v", user, err)
	}
	s.recalled = append(s.recalled, time.Since(asked))
	if took := time.Since(began); took > inTime {
		s.t.Errorf("the mail of user %d took %v", user, took)
	}
}
