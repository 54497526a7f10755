package holdstore

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/recall-milter/recall-milter/test/server"
)

// Three defects park a hold. It stays held, nothing claims it, and releasing it is another try.
func TestWhatMeetsADefectEachTimeIsParked(t *testing.T) {
	s := open(t, server.StartRedis(t).Addr)
	ctx := t.Context()
	id := put(t, s, "m1", 0, "body").ID
	for range ParkAfter {
		var c *Claim
		server.Eventually(t, "it is due again", func() bool {
			cs, _ := s.Claim(ctx, 1)
			if len(cs) == 1 {
				c = cs[0]
			}
			return c != nil
		})
		if err := s.Settle(ctx, c, Settlement{Defect: "boom", RetryIn: time.Millisecond, Detail: "a defect"}); err != nil {
			t.Fatal(err)
		}
	}
	other := put(t, s, "m2", 0, "body").ID
	if cs := claimAll(t, s, 1); cs[0].ID != other {
		t.Errorf("claimed %s", cs[0].ID)
	}
	holds, jobs, err := s.Parked(ctx, 10)
	if err != nil || len(holds) != 1 || holds[0] != id || len(jobs) != 0 {
		t.Errorf("parked %q %q (%v)", holds, jobs, err)
	}
	h, err := s.Get(ctx, id)
	if err != nil || h.State != Held || time.Until(h.Due) < 24*time.Hour {
		t.Errorf("%+v (%v)", h, err)
	}
	said := ""
	for f := range s.Fsck(ctx, false, nil) {
		said += f.Name + " " + f.What
	}
	if !strings.Contains(said, id+" it is parked") || !strings.Contains(said, "boom") {
		t.Errorf("fsck says %q", said)
	}
	if _, err := s.Release(ctx, id, Actor{}); err != nil {
		t.Fatal(err)
	}
	if cs := claimAll(t, s, 1); cs[0].ID != id {
		t.Errorf("claimed %s", cs[0].ID)
	}
	if holds, _, _ := s.Parked(ctx, 10); len(holds) != 0 {
		t.Errorf("still parked: %q", holds)
	}
}

// A parked hold that was recalled and restored is an ordinary one again, whatever recalled it. A parked one that was
// replaced by a hold that is fenced off stays parked.
func TestARestoredHoldIsParkedNoLonger(t *testing.T) {
	t.Parallel()
	s := open(t, server.StartRedis(t).Addr)
	ctx := t.Context()
	recalls := map[string]func(id string) error{
		"all": func(id string) error { _, err := s.Recall(ctx, id, alice); return err },
		"one by one": func(id string) error {
			_, err := s.RecallOnly(ctx, id, []string{"bob@far.test"}, alice)
			_, last := s.RecallOnly(ctx, id, []string{"carol\xff@far.test"}, alice)
			return errors.Join(err, last)
		},
		"replaced": func(id string) error {
			_, err := s.Put(submission("new"), []byte(header("new"))).Commit(ctx,
				Terms{Grace: time.Hour, Replaces: []string{id}})
			return err
		},
	}
	for name, recall := range recalls {
		id := putParked(t, s, name)
		if err := recall(id); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		h, err := s.Restore(ctx, id, alice)
		if err != nil || h.State != Held || time.Until(h.Due) > time.Hour {
			t.Errorf("%s: %+v, %v", name, h, err)
		}
		if got := whyParked(t, s, id); got != "" {
			t.Errorf("%s: it is restored, and has %q", name, got)
		}
		if _, err := s.Extend(ctx, id, time.Hour, alice); err != nil { // or the next claim would take it
			t.Fatal(err)
		}
	}
	if f := faults(t, s, false); len(f) > 0 {
		t.Errorf("%+v", f)
	}

	old := putParked(t, s, "old")
	p := s.Put(submission("newer"), []byte(header("newer")))
	if _, err := p.Commit(ctx, Terms{Grace: time.Hour, Replaces: []string{old}}); err != nil {
		t.Fatal(err)
	}
	if _, err := p.fence(errors.New("timeout")); !errors.Is(err, ErrUnknown) {
		t.Fatal(err)
	}
	if got := whyParked(t, s, old); !strings.Contains(got, "boom") {
		t.Errorf("what was to replace it is not held, and it has %q", got)
	}
	if holds, _, err := s.Parked(ctx, 10); err != nil || len(holds) != 1 || holds[0] != old {
		t.Errorf("parked %q (%v)", holds, err)
	}
}

// putParked makes a hold and parks it.
func putParked(t *testing.T, s *Store, mark string) string {
	t.Helper()
	id := put(t, s, mark, 0, "body").ID
	for range ParkAfter {
		var c *Claim
		server.Eventually(t, "it is due", func() bool {
			if cs, _ := s.Claim(t.Context(), 1); len(cs) == 1 {
				c = cs[0]
			}
			return c != nil
		})
		if err := s.Settle(t.Context(), c, Settlement{Defect: "boom", RetryIn: time.Millisecond}); err != nil {
			t.Fatal(err)
		}
	}
	return id
}

// whyParked is what the record of a hold has of a park.
func whyParked(t *testing.T, s *Store, id string) string {
	t.Helper()
	f, err := s.nodes.Client.HMGet(t.Context(), intruder{t, s}.key(id), "parked", "defects").Result()
	if err != nil {
		t.Fatal(err)
	}
	return strings.Trim(fmt.Sprint(f...), "<nil> ")
}

// What one of several transactions brought is there when the daemon dies before the next.
func TestProgressOfAnAttemptSurvivesItsEnd(t *testing.T) {
	s := open(t, server.StartRedis(t).Addr)
	id := put(t, s, "m1", 0, "body").ID
	c := claimAll(t, s, 1)[0]
	if err := s.Progress(t.Context(), c, map[int]Result{1: {Outcome: Sent, Detail: "250 ok"}}); err != nil {
		t.Fatal(err)
	}
	h, err := s.Get(t.Context(), id)
	if err != nil || h.State != Releasing || h.Results[0].Outcome != Pending || h.Results[1].Outcome != Sent {
		t.Errorf("%+v (%v)", h, err)
	}
	if err := s.Settle(t.Context(), c, Settlement{Results: map[int]Result{0: {Outcome: Sent}}}); err != nil {
		t.Error(err)
	}
	if err := s.Progress(t.Context(), c, map[int]Result{0: {Outcome: Pending}}); err == nil {
		t.Error("written without a lease")
	}
}

// A hold whose claim meets a defect each time keeps its own place only: it is parked, and others are claimed.
func TestAClaimThatMeetsADefectEachTimeIsParked(t *testing.T) {
	s := open(t, server.StartRedis(t).Addr)
	s.lease = time.Second
	told := &panics{}
	s.OnDefect(told.add)
	ctx := t.Context()
	id, sound := put(t, s, "m1", 0, "body").ID, s.seal
	s.seal = nil // what is opened at the claim panics
	server.Eventually(t, "it is parked", func() bool {
		if cs, _ := s.Claim(ctx, 1); len(cs) > 0 {
			t.Errorf("claimed %s", cs[0].ID)
		}
		holds, _, _ := s.Parked(ctx, 10)
		return len(holds) == 1 && holds[0] == id
	})
	s.seal = sound
	if n := strings.Count(told.text(), "the claim of hold "+id); n != ParkAfter {
		t.Errorf("%d panics: %s", n, told.text())
	}
	other := put(t, s, "m2", 0, "body").ID
	if cs := claimAll(t, s, 1); cs[0].ID != other {
		t.Errorf("claimed %s", cs[0].ID)
	}
	if h, err := s.Get(ctx, id); err != nil || h.State != Held || h.Attempts != ParkAfter {
		t.Errorf("%+v (%v)", h, err)
	}
	if _, err := s.Release(ctx, id, Actor{}); err != nil {
		t.Fatal(err)
	}
	if cs := claimAll(t, s, 1); cs[0].ID != id {
		t.Errorf("claimed %s", cs[0].ID)
	}
}

// A claim that ends in a defect while its outcome is written goes back, and is parked after some of them.
func TestAnOutcomeThatMeetsADefectEachTimeIsParked(t *testing.T) {
	s := open(t, server.StartRedis(t).Addr)
	ctx := t.Context()
	id := put(t, s, "m1", 0, "body").ID
	for range ParkAfter {
		var c *Claim
		server.Eventually(t, "it is due again", func() bool {
			if cs, _ := s.Claim(ctx, 1); len(cs) == 1 {
				c = cs[0]
			}
			return c != nil
		})
		if err := s.Progress(ctx, c, map[int]Result{1: {Outcome: Sent}}); err != nil {
			t.Fatal(err)
		}
		if err := s.Break(ctx, c, time.Millisecond, "boom"); err != nil {
			t.Fatal(err)
		}
		if err := s.Break(ctx, c, time.Millisecond, "boom"); !errors.Is(err, ErrLost) {
			t.Errorf("given back twice: %v", err)
		}
	}
	holds, _, err := s.Parked(ctx, 10)
	if err != nil || len(holds) != 1 || holds[0] != id {
		t.Errorf("parked %q (%v)", holds, err)
	}
	if h, err := s.Get(ctx, id); err != nil || h.Results[0].Outcome != Pending || h.Results[1].Outcome != Sent {
		t.Errorf("%+v (%v)", h, err)
	}
	for f := range s.Fsck(ctx, false, nil) {
		if !strings.Contains(f.What, "boom") {
			t.Errorf("fsck says %s %s", f.Name, f.What)
		}
	}
}

// A job of which the store has lost a part is parked as well, and the next one is done.
func TestAJobThatIsDamagedIsParked(t *testing.T) {
	s := open(t, server.StartRedis(t).Addr)
	ctx := t.Context()
	for _, id := range []string{"damaged", "sound"} {
		if err := s.AddJob(ctx, id, "kind", id, 0); err != nil {
			t.Fatal(err)
		}
	}
	s.nodes.Client.HDel(ctx, string(s.nodes.Shards[0])+"j:damaged", "kind")
	for range ParkAfter {
		s.nodes.Client.ZAdd(ctx, jobsKey(s.nodes.Shards[0]), redis.Z{Score: 1, Member: "damaged"}) // its pause is over
		if j, err := s.ClaimJob(ctx); err == nil || !strings.Contains(err.Error(), "damaged") {
			t.Errorf("claimed %+v (%v)", j, err)
		}
	}
	if _, jobs, err := s.Parked(ctx, 10); err != nil || len(jobs) != 1 || jobs[0] != "damaged" {
		t.Errorf("parked %q (%v)", jobs, err)
	}
	if j, err := s.ClaimJob(ctx); err != nil || j == nil || j.ID != "sound" {
		t.Errorf("claimed %+v (%v)", j, err)
	}
}
