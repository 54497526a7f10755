package holdstore

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/recall-milter/recall-milter/test/server"
)

// released puts a message into the store and lets it be sent to all recipients.
func released(t *testing.T, s *Store, to ...string) string {
	t.Helper()
	sub := Submission{Sender: Path{Address: "a@corp.test"}, MessageID: "<1@corp.test>"}
	for _, r := range to {
		sub.Recipients = append(sub.Recipients, Path{Address: r})
	}
	p := s.Put(sub, []byte("Subject: x\r\n"))
	receipt, err := p.Commit(t.Context(), Terms{Rule: "default"})
	if err != nil {
		t.Fatal(err)
	}
	claims, err := s.Claim(t.Context(), 1)
	if err != nil || len(claims) != 1 {
		t.Fatal(claims, err)
	}
	results := map[int]Result{}
	for n := range to {
		results[n] = Result{Outcome: Sent, Detail: "250 ok"}
	}
	if err := s.Settle(t.Context(), claims[0], Settlement{Results: results}); err != nil {
		t.Fatal(err)
	}
	return receipt.ID
}

// due claims all jobs that are due, and leaves them claimed.
func due(t *testing.T, s *Store) (ids []string) {
	t.Helper()
	for {
		j, err := s.ClaimJob(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if j == nil {
			slices.Sort(ids)
			return ids
		}
		ids = append(ids, j.ID)
	}
}

func outcomes(t *testing.T, s *Store, id string) (all []Outcome) {
	t.Helper()
	h, err := s.Get(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range h.Results {
		all = append(all, r.Outcome)
	}
	return all
}

func TestGatewaysAreAskedOnceAndTheReportWaitsForTheLast(t *testing.T) {
	s := open(t, server.StartRedis(t).Addr)
	id := released(t, s, "b@x.test", "c@y.test")
	asked := []Asked{{RequestID: "X", Hold: id, Domain: "x.test", Recipients: []int{0}}, {RequestID: "Y", Hold: id, Domain: "y.test", Recipients: []int{1}}}
	if _, err := s.Ask(t.Context(), id, asked, time.Hour, Act{By: "anna"}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Ask(t.Context(), id, asked, time.Hour, Act{By: "anna"}); !errors.Is(err, ErrNotNow) {
		t.Errorf("asked again: %v", err)
	}
	if got := outcomes(t, s, id); !slices.Equal(got, []Outcome{Requested, Requested}) {
		t.Errorf("after asking: %v", got)
	}
	if got := due(t, s); !slices.Equal(got, []string{"ask:X", "ask:Y"}) {
		t.Errorf("due are %v", got)
	}
	if a, err := s.Request(t.Context(), "Y"); err != nil || a.Hold != id || a.Domain != "y.test" {
		t.Errorf("%+v %v", a, err)
	}
	if _, err := s.Request(t.Context(), "Z"); !errors.Is(err, ErrNotFound) {
		t.Errorf("a request that nobody made: %v", err)
	}
	answer := func(n int, o Outcome, wantDue ...string) {
		t.Helper()
		if err := s.Answered(t.Context(), id, "x.test", []Answer{{n, o, ""}}); err != nil {
			t.Fatal(err)
		}
		if got := due(t, s); !slices.Equal(got, wantDue) {
			t.Errorf("after %s of %d due are %v", o, n, got)
		}
	}
	answer(0, Retracted)
	answer(0, Refused) // what is gone stays gone
	answer(1, AlreadyRead, "report:"+id)
	if got := outcomes(t, s, id); !slices.Equal(got, []Outcome{Retracted, AlreadyRead}) {
		t.Errorf("in the end: %v", got)
	}
}

func TestWhoDoesNotAnswerIsUnknownAndLateNewsMakeAnotherReport(t *testing.T) {
	s := open(t, server.StartRedis(t).Addr)
	id := released(t, s, "b@x.test")
	if _, err := s.Ask(t.Context(), id, []Asked{{RequestID: "X", Hold: id, Domain: "x.test", Recipients: []int{0}}}, time.Millisecond, Act{}); err != nil {
		t.Fatal(err)
	}
	report := func() {
		t.Helper()
		var j *Job
		server.Eventually(t, "a report is due", func() bool {
			var err error
			if j, err = s.ClaimJob(t.Context()); err != nil {
				t.Fatal(err)
			}
			return j != nil && j.Kind == JobReport
		})
		var hold string
		if err := j.Read(&hold); err != nil || hold != id {
			t.Fatal(hold, err)
		}
		if err := s.FinishJob(t.Context(), j, time.Hour); err != nil {
			t.Fatal(err)
		}
	}
	h, err := s.NoAnswer(t.Context(), id)
	if err != nil || h.Results[0].Outcome != Unknown {
		t.Fatal(h, err)
	}
	report()
	if err := s.Answered(t.Context(), id, "x.test", []Answer{{0, Retracted, "late"}}); err != nil {
		t.Fatal(err)
	}
	report()
	if got := due(t, s); slices.Contains(got, "report:"+id) {
		t.Errorf("a third report: %v", got)
	}
}

func TestAHeldMessageIsNotAskedFor(t *testing.T) {
	s := open(t, server.StartRedis(t).Addr)
	p := s.Put(Submission{Recipients: []Path{{Address: "b@x.test"}}}, []byte("Subject: x\r\n"))
	r, err := p.Commit(t.Context(), Terms{Grace: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Ask(t.Context(), r.ID, []Asked{{RequestID: "X", Hold: r.ID, Recipients: []int{0}}}, time.Hour, Act{}); !errors.Is(err, ErrTooLate) {
		t.Error(err)
	}
	if got := due(t, s); len(got) > 0 {
		t.Errorf("jobs %v", got)
	}
}

func TestAJobIsDoneOnceAndSurvivesWhoClaimedIt(t *testing.T) {
	s := open(t, server.StartRedis(t).Addr)
	for range 2 {
		if err := s.AddJob(t.Context(), "1", "test", "data", 0); err != nil {
			t.Fatal(err)
		}
	}
	first, err := s.ClaimJob(t.Context())
	if err != nil || first == nil || first.Attempts != 1 {
		t.Fatal(first, err)
	}
	if again, err := s.ClaimJob(t.Context()); err != nil || again != nil {
		t.Fatal("claimed twice", again, err)
	}
	if err := s.SaveJob(t.Context(), first, "more"); err != nil {
		t.Fatal(err)
	}
	s.redis.ZAdd(t.Context(), string(s.shards[0])+"jobs", redis.Z{Member: "1"}) // as if its lease had ended
	second, err := s.ClaimJob(t.Context())
	var data string
	if err != nil || second == nil || second.Attempts != 2 || second.Read(&data) != nil || data != "more" {
		t.Fatal(second, data, err)
	}
	if err := s.FinishJob(t.Context(), first, time.Hour); !errors.Is(err, ErrLost) {
		t.Errorf("who lost it finished it: %v", err)
	}
	if err := s.RetryJob(t.Context(), second, 0); err != nil {
		t.Fatal(err)
	}
	third, err := s.ClaimJob(t.Context())
	if err != nil || third == nil || s.FinishJob(t.Context(), third, time.Hour) != nil {
		t.Fatal(third, err)
	}
	if err := s.AddJob(t.Context(), "1", "test", "data", 0); err != nil {
		t.Fatal(err)
	}
	if got := due(t, s); len(got) > 0 {
		t.Errorf("done, and due again: %v", got)
	}
}
