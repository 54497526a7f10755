package holdstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/recall-milter/recall-milter/holdstore/internal/nodes"
	"github.com/recall-milter/recall-milter/test/server"
)

// openPatient opens a store on a Cluster that waits for an answer for as long as its caller does, unless it knows
// better.
func openPatient(t *testing.T, c *server.Cluster) *Store {
	t.Helper()
	s := openWith(t, Options{Addresses: c.Addrs()})
	s.nodes.Client.(*redis.ClusterClient).Options().ReadTimeout = time.Hour
	return s
}

// A server that hangs, with the replica that could replace it, delays what it keeps and nothing else: who waited for it
// would wait forever. What can't be seen is said, and what can be is shown and recalled.
func TestAServerThatIsAwayDelaysOnlyItsOwn(t *testing.T) {
	t.Parallel()
	c := server.StartCluster(t, server.Never)
	s := openPatient(t, c)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	for n := range 60 {
		mark := fmt.Sprint("m", n)
		r, err := holdOne(s, mark, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		s.nodes.Client.Set(ctx, requestKey(s.nodes.Of(r.ID), r.ID), s.seal.WrapSmall([]byte("{}"), requestPlace(r.ID)), 0)
	}
	var pairs []Pair
	for n := range 60 {
		pairs = append(pairs, Pair{numbered(1), numbered(2 + n), false, Day(time.Now())})
	}
	acquaint(t, s, year, pairs...)
	claws := clawsInCluster(t, s)
	away := c.Nodes[0]
	for _, n := range c.Nodes {
		if n == away || n.FollowsOne(away) {
			n.Pause()
			defer n.Resume()
		}
	}
	wake := s.Wake(ctx)
	live := map[string]string{}
	err := error(nil)
	for h, wrong := range s.Find(ctx, Query{}) {
		if err = wrong; wrong == nil {
			live[h.QueueID[1:]] = h.ID
		}
	}
	if !errors.Is(err, ErrPartial) || !errors.Is(err, ErrUnavailable) || len(live) < 10 || len(live) > 50 {
		t.Fatalf("%d of 60 are seen, %v", len(live), err)
	}
	for _, id := range live {
		if _, err := s.Request(ctx, id); err != nil {
			t.Errorf("a request that a live server has: %v", err)
		}
	}
	if _, err := s.Request(ctx, "another"); !errors.Is(err, ErrPartial) || errors.Is(err, ErrNotFound) {
		t.Errorf("a request that nobody sees: %v", err)
	}
	if st, err := s.Stats(ctx); !errors.Is(err, ErrPartial) || st.Count[Held] != len(live) {
		t.Errorf("stats: %+v, %v", st, err)
	}
	if n, err := s.ForgetCorrespondent(ctx, numbered(1), false); !errors.Is(err, ErrPartial) || n < 10 || n > 50 {
		t.Errorf("%d of 60 pairs are forgotten, %v", n, err)
	}
	for mark, id := range live {
		if _, err := s.Recall(ctx, id, alice); err != nil {
			t.Errorf("recall of %s: %v", mark, err)
		}
	}
	// New mail for the others is taken, and leaves.
	taken := 0
	for n := range 40 {
		if _, err := holdOne(s, fmt.Sprint("new", n), 50*time.Millisecond); err == nil {
			taken++
		}
	}
	if taken < 5 || taken > 35 {
		t.Errorf("%d of 40 were taken", taken)
	}
	for n := 0; n < taken; {
		cs, err := s.Claim(ctx, 10)
		if err != nil && !errors.Is(err, ErrPartial) {
			t.Fatal(err)
		}
		if n += len(cs); len(cs) == 0 {
			select {
			case <-wake:
			case <-time.After(10 * time.Millisecond):
			}
		}
	}
	if _, _, err := s.NextDue(ctx); !errors.Is(err, ErrPartial) {
		t.Errorf("next due: %v", err)
	}
	clawsPartly(ctx, t, s, claws)
}

// A new hold on a server that is there is due to the moment, whatever hangs elsewhere.
func TestReleasesAreOnTimeWhileAServerHangs(t *testing.T) {
	t.Parallel()
	c := server.StartCluster(t, server.Never)
	s := openPatient(t, c)
	put(t, s, "warm", time.Hour, "")
	calm := lateness(t, s, "calm")
	c.Nodes[0].Pause()
	defer c.Nodes[0].Resume()
	lateness(t, s, "first") // somebody has to see that it hangs
	hung := lateness(t, s, "hung")
	t.Logf("late by %v, and without a server by %v", calm, hung)
	if hung > calm+nodes.HeadTime/2 { // each look that waits for the hung server takes nodes.HeadTime
		t.Errorf("late by %v, and without a server by %v", calm, hung)
	}
}

// lateness holds some messages, claims each when it is due, and returns how late it was in the middle: so a machine
// under load is told from a store that waits.
func lateness(t *testing.T, s *Store, mark string) time.Duration {
	t.Helper()
	var late []time.Duration
	for n := range 24 {
		r, err := holdOne(s, fmt.Sprint(mark, n), 20*time.Millisecond)
		if err != nil {
			continue
		}
		server.Eventually(t, "it is claimed", func() bool { cs, _ := s.Claim(t.Context(), 1); return len(cs) == 1 })
		late = append(late, time.Since(r.Due))
	}
	if len(late) < 5 {
		t.Fatalf("only %d of 24 were taken", len(late))
	}
	slices.Sort(late)
	return late[len(late)/2]
}
