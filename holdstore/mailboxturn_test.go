package holdstore

import (
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/test/server"
)

// A mailbox has one job at a time, which gives it back, or loses it with its time.
func TestAMailboxHasOneJobAtATime(t *testing.T) {
	t.Parallel()
	s := open(t, server.StartRedis(t).Addr)
	enter := func(address, job string, most time.Duration, want bool) {
		t.Helper()
		if got, err := s.EnterMailbox(t.Context(), address, job, most); err != nil || got != want {
			t.Errorf("%s enters %s: %v, %v", job, address, got, err)
		}
	}
	enter("anna@corp.test", "a", time.Hour, true)
	enter("Anna@CORP.test", "b", time.Hour, false)
	enter("anna@corp.test", "a", time.Hour, true) // on another gateway
	enter("bert@corp.test", "b", time.Hour, true)
	if err := s.LeaveMailbox(t.Context(), "anna@corp.test", "b"); err != nil { // it is not b's
		t.Error(err)
	}
	enter("anna@corp.test", "b", time.Hour, false)
	if err := s.LeaveMailbox(t.Context(), "anna@corp.test", "a"); err != nil {
		t.Error(err)
	}
	enter("anna@corp.test", "b", time.Millisecond, true)
	server.Eventually(t, "its time is over", func() bool {
		yes, err := s.EnterMailbox(t.Context(), "anna@corp.test", "c", time.Hour)
		return yes && err == nil
	})
}
