package holdstore

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/test/server"
)

func TestAPauseStopsReleasesAndNothingElse(t *testing.T) {
	redis := server.StartRedis(t)
	s, other := open(t, redis.Addr), open(t, redis.Addr)
	ctx := t.Context()
	if p, err := s.Paused(ctx); p != nil || err != nil {
		t.Fatalf("paused from the start: %+v %v", p, err)
	}
	due, back := put(t, s, "due", 0, "x"), put(t, s, "back", time.Hour, "x")
	if changed, err := s.Pause(ctx, alice); !changed || err != nil {
		t.Fatal(changed, err)
	}
	if cs, err := other.Claim(ctx, 10); len(cs) != 0 || !errors.Is(err, ErrPaused) {
		t.Fatalf("another gateway claimed %d: %v", len(cs), err)
	}
	p, err := other.Paused(ctx)
	if err != nil || p == nil || p.By != alice.By || p.Reason != alice.Reason || time.Since(p.At) > time.Minute {
		t.Fatalf("paused: %+v %v", p, err)
	}
	nextMillisecond(t, due)
	later := put(t, s, "later", 0, "x")
	if _, err := s.Recall(ctx, back.ID, alice); err != nil {
		t.Error(err)
	}
	if h, err := s.Restore(ctx, back.ID, alice); err != nil || h.State != Held {
		t.Errorf("restore: %+v %v", h, err)
	}
	redis.Restart()
	if _, err := s.Claim(ctx, 10); !errors.Is(err, ErrPaused) && !errors.Is(err, ErrUnavailable) {
		t.Errorf("after a restart of Redis: %v", err)
	}
	redis.Do("CONFIG SET maxmemory 1mb") // a full store can be paused and resumed as well
	bell := other.Wake(ctx)
	for was := false; !was; {
		if was, err = s.Resume(ctx, alice); err != nil {
			t.Fatal(err)
		}
		if was {
			<-bell
		}
	}
	if changed, err := s.Pause(ctx, alice); !changed || err != nil {
		t.Fatal(changed, err)
	}
	// Without a reason the first one's words stay.
	if changed, err := s.Pause(ctx, Actor{By: "mallory"}); changed || err != nil {
		t.Fatal(changed, err)
	}
	if p, err := s.Paused(ctx); err != nil || p == nil || p.By != alice.By || p.Reason != alice.Reason {
		t.Errorf("paused again without a reason: %+v %v", p, err)
	}
	if was, err := s.Resume(ctx, alice); !was || err != nil {
		t.Fatal(was, err)
	}
	if was, err := s.Resume(ctx, alice); was || err != nil {
		t.Errorf("resumed twice: %v %v", was, err)
	}
	cs, err := other.Claim(ctx, 10)
	if err != nil || len(cs) != 2 || cs[0].ID != due.ID || cs[1].ID != later.ID || !cs[0].Due.Equal(due.Due) {
		t.Errorf("after the pause %d claims, %v", len(cs), err)
	}
	var verbs []string
	for e, err := range s.Log(ctx, time.Time{}, false) {
		if err != nil {
			t.Fatal(err)
		}
		verbs = append(verbs, e.Verb)
	}
	if got := fmt.Sprint(verbs); got != "[pause recall restore resume pause resume]" {
		t.Errorf("trail: %s", got)
	}
}

func TestADrainMakesDueWhatWaits(t *testing.T) {
	s := open(t, server.StartRedis(t).Addr)
	ctx := t.Context()
	for n := range 20 {
		put(t, s, fmt.Sprint("m", n), time.Hour, "x")
	}
	put(t, s, "late", 0, "x")
	claimOne(t, s)
	ids, err := s.WaitingIDs(ctx)
	if err != nil || len(ids) != 21 {
		t.Fatalf("%d wait, %v", len(ids), err)
	}
	if _, err := s.Recall(ctx, ids[0], alice); err != nil {
		t.Fatal(err)
	}
	done := 0
	err = s.Bulk(ctx, s.Draining(), append(ids, "2222222222222"), alice, func(acted []Acted) {
		for _, a := range acted {
			if a.Changed() {
				done++
			}
		}
	})
	cs, wrong := s.Claim(ctx, 100)
	if err != nil || wrong != nil || done != 19 || len(cs) != 19 {
		t.Errorf("%d made due, %v; %d claimed, %v", done, err, len(cs), wrong)
	}
	states, err := s.States(ctx, []string{ids[0], ids[1], "2222222222222"})
	if err != nil || fmt.Sprint(states) != "[recalled releasing ]" {
		t.Errorf("states %q, %v", states, err)
	}
}

func TestAPauseThatAFailoverWouldUndoSaysSo(t *testing.T) {
	t.Parallel()
	redis := server.StartRedis(t)
	s, err := Open(Options{Addresses: []string{redis.Addr}, Durability: "strict", Replicas: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if changed, err := s.Pause(t.Context(), alice); !changed || !errors.Is(err, ErrNotDurable) {
		t.Errorf("without a replica: %v %v", changed, err)
	}
	if p, err := s.Paused(t.Context()); p == nil || err != nil {
		t.Errorf("paused: %+v %v", p, err)
	}
}

// A pause that too few replicas have is one pause all the same: the trail says it once, and a resume that it ended it.
func TestAPauseThatFewReplicasHaveIsOnePause(t *testing.T) {
	t.Parallel()
	c := server.StartCluster(t, server.Never)
	s, err := Open(Options{Addresses: c.Addrs(), Durability: "strict", Replicas: 3})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if changed, err := s.Pause(t.Context(), alice); !changed || !errors.Is(err, ErrUnavailable) {
		t.Errorf("pause: %v %v", changed, err)
	}
	if was, err := s.Resume(t.Context(), alice); !was || !errors.Is(err, ErrUnavailable) {
		t.Errorf("resume: %v %v", was, err)
	}
	var verbs []string
	for e, err := range s.Log(t.Context(), time.Time{}, false) {
		if err != nil {
			t.Fatal(err)
		}
		verbs = append(verbs, e.Verb)
	}
	if got := fmt.Sprint(verbs); got != "[pause resume]" {
		t.Errorf("trail: %s", got)
	}
}
