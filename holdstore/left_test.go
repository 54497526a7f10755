package holdstore

import (
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/test/server"
)

// A message leaves its hold when the last of its recipients is settled, whatever became of the first long before.
func TestWhenAMessageLeftIsToldByItsLastRecipient(t *testing.T) {
	t.Parallel()
	s := open(t, server.StartRedis(t).Addr)
	put(t, s, "m", 0, "")
	c, before := claimOne(t, s), time.Now()
	early := Result{Outcome: Sent, At: before.Add(-2 * time.Hour)}
	if err := s.Settle(t.Context(), c,
		Settlement{Results: map[int]Result{0: early}, RetryIn: time.Millisecond}); err != nil {
		t.Fatal(err)
	}
	server.Eventually(t, "it is due again", func() bool {
		claims, err := s.Claim(t.Context(), 1)
		if err == nil && len(claims) == 1 {
			c = claims[0]
		}
		return len(claims) == 1
	})
	if err := s.Settle(t.Context(), c, Settlement{Results: map[int]Result{1: {Outcome: Sent}}}); err != nil {
		t.Fatal(err)
	}
	if left, login, err := s.LeftAt(t.Context(), c.ID); err != nil || login != c.Login || login == "" ||
		left.Before(before.Truncate(time.Millisecond)) {
		t.Errorf("left at %v, %v; its last recipient was settled after %v", left, err, before)
	}
}
