package holdstore

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/recall-milter/recall-milter/test/server"
)

// A record that somebody changed, or whose key is missing, is not restored, and costs the others nothing.
func TestARecordThatProvesNothingIsLeftOutOfARestore(t *testing.T) {
	t.Parallel()
	addr := server.StartRedis(t).Addr
	other := put(t, openSealed(t, addr, key(2)), "other", time.Hour, "").ID
	s := openSealed(t, addr, key(1))
	ids := []string{other}
	for _, mark := range []string{"one", "forged", "two"} {
		ids = append(ids, put(t, s, mark, time.Hour, "").ID)
	}
	for _, id := range ids {
		intruder{t, s}.recall(id)
	}
	intruder{t, s}.replace(ids[2], "p", "alice", "mallory")
	outcomes := map[string]error{}
	err := s.Bulk(t.Context(), s.Restoring(), ids, alice, func(acted []Acted) {
		for _, a := range acted {
			outcomes[a.ID] = a.Err
		}
	})
	if err != nil || len(outcomes) != len(ids) {
		t.Fatalf("%v, %v", outcomes, err)
	}
	for n, want := range []error{ErrNoKey, nil, ErrDamaged, nil} {
		if got := outcomes[ids[n]]; !errors.Is(got, want) {
			t.Errorf("hold %d: %v, want %v", n, got, want)
		}
		state, err := s.States(t.Context(), ids[n:n+1])
		if err != nil || (state[0] == Held) != (want == nil) {
			t.Errorf("hold %d is %v, %v", n, state, err)
		}
	}
}

// A hold that waits until a moment of the calendar is due at that moment again, or at once when it is over.
func TestARestoreDoesNotMoveAMomentOfTheCalendar(t *testing.T) {
	s := open(t, server.StartRedis(t).Addr)
	for mark, grace := range map[string]time.Duration{"to come": time.Hour, "over": time.Millisecond} {
		p := s.Put(submission(mark), []byte(header(mark)))
		r, err := p.Commit(t.Context(), Terms{Rule: "closed", Grace: grace, Fixed: true})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Recall(t.Context(), r.ID, alice); err != nil {
			t.Fatal(err)
		}
		nextMillisecond(t, r)
		before := time.Now()
		h, err := s.Restore(t.Context(), r.ID, alice)
		if err != nil || !h.Fixed || h.Grace != grace {
			t.Fatalf("%s: %+v, %v", mark, h, err)
		}
		if grace == time.Hour && !h.Due.Equal(r.Due) {
			t.Errorf("it is due at %v, and was at %v", h.Due, r.Due)
		}
		if wait := h.Due.Sub(before); grace < time.Hour && (wait < -time.Second || wait > time.Minute) {
			t.Errorf("its moment is over, and it waits for %v", wait)
		}
	}
}

// A restore undoes the last recall. Whom a recall before it had taken out stays taken out, however soon they followed.
func TestARestoreUndoesTheLastRecallOnly(t *testing.T) {
	t.Parallel()
	addr := server.StartRedis(t).Addr
	for name, s := range map[string]*Store{"plain": open(t, addr), "sealed": openSealed(t, addr, key(1))} {
		sub := submission(name)
		sub.Recipients = []Path{{Address: "a@x.test"}, {Address: "b@x.test"}, {Address: "c@x.test"}}
		r, err := s.Put(sub, []byte(header(name))).Commit(t.Context(), Terms{Rule: "r", Grace: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		steps := []struct {
			act  func() (*Hold, error)
			want string // outcomes
		}{
			{func() (*Hold, error) { return s.RecallOnly(t.Context(), r.ID, []string{"c@x.test"}, alice) },
				"pending pending recalled"},
			{func() (*Hold, error) { return s.Recall(t.Context(), r.ID, alice) }, "recalled recalled recalled"},
			{func() (*Hold, error) { return s.Restore(t.Context(), r.ID, alice) }, "pending pending recalled"},
			{func() (*Hold, error) { return s.RecallOnly(t.Context(), r.ID, []string{"b@x.test"}, alice) },
				"pending recalled recalled"},
			{func() (*Hold, error) { return s.RecallOnly(t.Context(), r.ID, []string{"a@x.test"}, alice) },
				"recalled recalled recalled"},
			{func() (*Hold, error) { return s.Restore(t.Context(), r.ID, alice) }, "pending recalled recalled"},
			{func() (*Hold, error) { return s.Release(t.Context(), r.ID, alice) }, "pending recalled recalled"},
		}
		for n, step := range steps {
			h, err := step.act()
			if err != nil {
				t.Fatalf("%s, step %d: %v", name, n, err)
			}
			var outcomes []string
			for _, r := range h.Results {
				outcomes = append(outcomes, string(r.Outcome))
			}
			if got := strings.Join(outcomes, " "); got != step.want {
				t.Errorf("%s, step %d: %s, want %s", name, n, got, step.want)
			}
		}
		c := claimOne(t, s)
		if err := s.Settle(t.Context(), c, Settlement{Results: map[int]Result{0: {Outcome: Sent}}}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The last recall is the last one also when Redis's clock was set back since the one before.
func TestARestoreUndoesTheLastRecallThoughTheClockWasSetBack(t *testing.T) {
	t.Parallel()
	addr := server.StartRedis(t).Addr
	for name, s := range map[string]*Store{"plain": open(t, addr), "sealed": openSealed(t, addr, key(1))} {
		r := put(t, s, name, time.Hour, "")
		h, err := s.RecallOnly(t.Context(), r.ID, []string{"bob@far.test"}, alice)
		if err != nil {
			t.Fatal(err)
		}
		was := h.Results[0].At
		intruder{t, s}.replace(r.ID, "r0", fmt.Sprint(was.UnixMilli()), fmt.Sprint(was.Add(24*time.Hour).UnixMilli()))
		if h, err = s.Recall(t.Context(), r.ID, alice); err != nil || h.State != Recalled {
			t.Fatalf("%+v, %v", h, err)
		}
		h, err = s.Restore(t.Context(), r.ID, alice)
		if err != nil || h.Results[0].Outcome != TakenBack || h.Results[1].Outcome != Pending {
			t.Errorf("%s: bob, who was recalled first, and carol are %+v, %v", name, h.Results, err)
		}
	}
}

// A moment with a fraction of a millisecond, which we never write, does not split one recall into two.
func TestARestoreUndoesARecallNextToAnOddMoment(t *testing.T) {
	t.Parallel()
	s := open(t, server.StartRedis(t).Addr)
	sub := submission("m")
	sub.Recipients = []Path{{Address: "a@x.test"}, {Address: "b@x.test"}, {Address: "c@x.test"}}
	r, err := s.Put(sub, []byte(header("m"))).Commit(t.Context(), Terms{Rule: "default", Grace: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	intruder{t, s}.set(r.ID, "r0", `{"o":"recalled","t":9000000000000.5}`)
	intruder{t, s}.set(r.ID, "r1", "x")
	if _, err := s.Recall(t.Context(), r.ID, alice); err != nil && !errors.Is(err, ErrPartly) {
		t.Fatal(err)
	}
	h, err := s.Restore(t.Context(), r.ID, alice)
	if err != nil || h.Results[2].Outcome != Pending {
		t.Errorf("%+v, %v", h, err)
	}
}

// A recall that comes while a restore makes its ticket is the last one: only that is undone.
func TestARestoreThatMeetsARecallUndoesThatOnly(t *testing.T) {
	t.Parallel()
	s := openSealed(t, server.StartRedis(t).Addr, key(1))
	r := put(t, s, "m", time.Hour, "")
	if _, err := s.RecallOnly(t.Context(), r.ID, []string{"bob@far.test"}, alice); err != nil {
		t.Fatal(err)
	}
	s.nodes.Client.AddHook(&afterReads{act: func() {
		if _, err := s.Recall(t.Context(), r.ID, alice); err != nil {
			t.Error(err)
		}
	}})
	h, err := s.Restore(t.Context(), r.ID, alice)
	if err != nil || h.State != Held {
		t.Fatalf("%+v, %v", h, err)
	}
	if h.Results[0].Outcome != TakenBack || h.Results[1].Outcome != Pending {
		t.Errorf("bob, who was recalled first, and carol are %+v", h.Results)
	}
}

// afterReads does something once, after the first records were read.
type afterReads struct {
	act  func()
	done atomic.Bool // act reads records too
}

func (*afterReads) DialHook(next redis.DialHook) redis.DialHook          { return next }
func (*afterReads) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }
func (a *afterReads) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, all []redis.Cmder) error {
		err := next(ctx, all)
		if strings.HasPrefix(all[0].Name(), "hget") && a.done.CompareAndSwap(false, true) {
			a.act()
		}
		return err
	}
}
