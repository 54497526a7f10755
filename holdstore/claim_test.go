package holdstore

import (
	"errors"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/test/server"
)

// A person who sends a hold by hand has it for themselves, due or not, and also while releases are paused.
func TestOneHoldIsClaimedByAPerson(t *testing.T) {
	t.Parallel()
	s := open(t, server.StartRedis(t).Addr)
	r := put(t, s, "m", time.Hour, "body\r\n")
	if _, err := s.Pause(t.Context(), alice); err != nil {
		t.Fatal(err)
	}
	c, err := s.ClaimOne(t.Context(), r.ID, "by hand", alice)
	if err != nil || c.ID != r.ID || c.State != Releasing || c.LeaseLeft() <= 0 {
		t.Fatalf("%+v, %v", c, err)
	}
	if _, err := s.ClaimOne(t.Context(), r.ID, "by hand", alice); !errors.Is(err, ErrTooLate) {
		t.Errorf("a second claim: %v", err)
	}
	if _, err := s.Recall(t.Context(), r.ID, alice); !errors.Is(err, ErrTooLate) {
		t.Errorf("a recall: %v", err)
	}
	if err := s.GiveBack(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if h, err := s.Get(t.Context(), r.ID); err != nil || h.State != Held || !h.Due.Equal(c.Due) || h.Attempts != 0 {
		t.Errorf("given back: %+v, %v", h, err)
	}
	if _, err := s.Recall(t.Context(), r.ID, alice); err != nil {
		t.Fatal(err)
	}
	if _, err := s.ClaimOne(t.Context(), r.ID, "by hand", alice); !errors.Is(err, ErrNotNow) {
		t.Errorf("of what is recalled: %v", err)
	}
	if _, err := s.ClaimOne(t.Context(), "2222222222222", "by hand", alice); !errors.Is(err, ErrNotFound) {
		t.Errorf("of nothing: %v", err)
	}
}
