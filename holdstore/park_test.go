package holdstore

import (
	"strings"
	"testing"
	"time"

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
	if _, err := s.Release(ctx, id, Act{}); err != nil {
		t.Fatal(err)
	}
	if cs := claimAll(t, s, 1); cs[0].ID != id {
		t.Errorf("claimed %s", cs[0].ID)
	}
	if holds, _, _ := s.Parked(ctx, 10); len(holds) != 0 {
		t.Errorf("still parked: %q", holds)
	}
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
