package holdstore

import (
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/test/server"
)

func TestSomeRecipientsAreRecalledAndTheOthersGetIt(t *testing.T) {
	s := open(t, server.StartRedis(t).Addr)
	ctx := t.Context()
	r := put(t, s, "m", time.Hour, "body\r\n")
	if _, err := s.RecallOnly(ctx, r.ID, []string{"nobody@far.test"}, alice); !errors.Is(err, ErrNotFound) {
		t.Errorf("for an address that is not a recipient: %v", err)
	}
	h, err := s.RecallOnly(ctx, r.ID, []string{"BOB@far.test"}, alice)
	if err != nil || h.State != Held || h.Results[0].Outcome != TakenBack || h.Results[1].Outcome != Pending {
		t.Fatalf("recalled for one: %+v, %v", h, err)
	}
	if _, err := s.RecallOnly(ctx, r.ID, []string{"bob@far.test"}, alice); !errors.Is(err, ErrNotNow) {
		t.Errorf("for the same again: %v", err)
	}
	if _, err := s.Release(ctx, r.ID, alice); err != nil {
		t.Fatal(err)
	}
	c := claimOne(t, s)
	if c.Results[0].Outcome != TakenBack {
		t.Errorf("the claim still has the recalled recipient: %+v", c.Results)
	}
	if _, err := s.RecallOnly(ctx, r.ID, []string{c.Recipients[1].Address}, alice); !errors.Is(err, ErrTooLate) {
		t.Errorf("while it is being sent: %v", err)
	}
	if err := s.Settle(ctx, c, Settlement{Results: map[int]Result{1: {Outcome: Sent}}}); err != nil {
		t.Fatal(err)
	}
	if h, _ = s.Get(ctx, r.ID); h.State != Released || h.Results[0].Outcome != TakenBack {
		t.Errorf("after the release: %+v", h)
	}
}

func TestTheLastRecipientRecalledRecallsTheHold(t *testing.T) {
	s := open(t, server.StartRedis(t).Addr)
	r := put(t, s, "m", time.Hour, "body\r\n")
	h, err := s.RecallOnly(t.Context(), r.ID, []string{"bob@far.test", "carol\xff@far.test"}, alice)
	if err != nil || h.State != Recalled {
		t.Fatalf("%+v, %v", h, err)
	}
	if h, err = s.Restore(t.Context(), r.ID, alice); err != nil || h.Results[0].Outcome != Pending {
		t.Errorf("restored: %+v, %v", h, err)
	}
}

func TestAHoldReplacesOthersInOneStep(t *testing.T) {
	s := open(t, server.StartRedis(t).Addr)
	ctx := t.Context()
	old, gone := put(t, s, "old", time.Hour, "body\r\n"), put(t, s, "gone", 0, "")
	claimOne(t, s)
	p := s.Put(submission("new"), []byte(header("new")))
	r, err := p.Commit(ctx, Terms{Grace: time.Hour, Replaces: []string{old.ID, gone.ID, "unknown"}})
	if err != nil {
		t.Fatal(err)
	}
	for id, want := range map[string]State{old.ID: Recalled, gone.ID: Releasing, r.ID: Held} {
		if h, err := s.Get(ctx, id); err != nil || h.State != want {
			t.Errorf("%s is %+v (%v), want %s", id, h, err, want)
		}
	}
	// A commit whose answer never came is undone as a whole.
	if _, err := p.fence(errors.New("timeout")); !errors.Is(err, ErrUnknown) {
		t.Fatal(err)
	}
	h, err := s.Get(ctx, old.ID)
	if err != nil || h.State != Held {
		t.Fatalf("the replaced hold is %+v, %v", h, err)
	}
	if text, err := io.ReadAll(s.Content(ctx, h)); err != nil || !strings.HasSuffix(string(text), "body\r\n") {
		t.Errorf("its content: %q, %v", text, err)
	}
}
