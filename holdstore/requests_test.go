package holdstore

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

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
	asked := []Request{{RequestID: "X", Hold: id, Domain: "x.test", Recipients: []int{0}},
		{RequestID: "Y", Hold: id, Domain: "y.test", Recipients: []int{1}}}
	if _, err := s.RequestRecall(t.Context(), id, asked, time.Hour, Actor{By: "anna"}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.RequestRecall(t.Context(), id, asked, time.Hour, Actor{By: "anna"}); !errors.Is(err, ErrNotNow) {
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
		if err := s.AddAnswers(t.Context(), id, "x.test", []Answer{{n, o, ""}}); err != nil {
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

// reports plays the daemon for the report on one hold.
type reports struct {
	t  *testing.T
	s  *Store
	id string
}

// askFor asks the gateway of one recipient, and waits so long for its answer.
func (r reports) askFor(n int, within time.Duration) {
	r.t.Helper()
	_, err := r.s.RequestRecall(r.t.Context(), r.id,
		[]Request{{RequestID: fmt.Sprint("R", n), Hold: r.id, Domain: "x.test", Recipients: []int{n}}}, within, Actor{})
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r reports) answered(n int, o Outcome, detail string) {
	r.t.Helper()
	if err := r.s.AddAnswers(r.t.Context(), r.id, "x.test", []Answer{{n, o, detail}}); err != nil {
		r.t.Fatal(err)
	}
}

// begins claims the report when it is due; done says how many went out before.
func (r reports) begins(done int) (j *Job) {
	r.t.Helper()
	server.Eventually(r.t, "a report is due", func() bool {
		var err error
		if j, err = r.s.ClaimJob(r.t.Context()); err != nil {
			r.t.Fatal(err)
		}
		return j != nil && j.Kind == JobReport
	})
	if _, err := r.s.StopWaiting(r.t.Context(), r.id); err != nil || j.Done != done {
		r.t.Fatalf("a report after %d, want after %d; %v", j.Done, done, err)
	}
	return j
}

func (r reports) goesOut(done int) {
	r.t.Helper()
	if err := r.s.FinishJob(r.t.Context(), r.begins(done), time.Hour); err != nil {
		r.t.Fatal(err)
	}
}

// at is when the report is due; the zero time: none will be.
func (r reports) at() time.Time {
	r.t.Helper()
	ms, err := r.s.nodes.Client.ZScore(r.t.Context(), jobsKey(r.s.nodes.Shards[0]), "report:"+r.id).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		r.t.Fatal(err)
	}
	return moment(fmt.Sprintf("%.0f", ms))
}

// hurry makes it due now.
func (r reports) hurry() {
	r.t.Helper()
	if err := r.s.nodes.Client.ZAddXX(r.t.Context(), jobsKey(r.s.nodes.Shards[0]),
		redis.Z{Member: "report:" + r.id}).Err(); err != nil {
		r.t.Fatal(err)
	}
}

// wants says whether the report is due in about so long, and kept until then.
func (r reports) wants(what string, in time.Duration) {
	r.t.Helper()
	if got := time.Until(r.at()); got > in || got < in-in/2 {
		r.t.Errorf("%s: the report is due in %v, want %v", what, got, in)
	}
	if left := r.s.nodes.Client.PTTL(r.t.Context(), string(r.s.nodes.Shards[0])+"j:report:"+r.id).Val(); left != -1 {
		r.t.Errorf("%s: the report is forgotten in %v", what, left)
	}
}

func TestLateNewsMakeAnotherReportAndThenOneADay(t *testing.T) {
	s := open(t, server.StartRedis(t).Addr)
	r := reports{t, s, released(t, s, "b@x.test", "c@y.test")}
	r.askFor(0, time.Hour)
	r.wants("asked", time.Hour)
	r.hurry()
	r.goesOut(0)
	if got := outcomes(t, s, r.id); !slices.Equal(got, []Outcome{Unknown, Sent}) {
		t.Errorf("without an answer: %v", got)
	}
	if at := r.at(); !at.IsZero() {
		t.Errorf("a report without news at %v", at)
	}
	r.answered(0, Refused, "away")
	r.wants("late news", newsGather)
	due := r.at()
	r.answered(0, AlreadyRead, "")
	if r.at() != due {
		t.Errorf("more news: %v instead of %v", r.at(), due)
	}
	r.hurry()
	r.goesOut(1)
	r.answered(0, AlreadyRead, "at noon")
	r.wants("more news", reportPause)
	if err := s.News(t.Context(), r.id, Event{Verb: "passed on", By: "d@list.test"}); err != nil {
		t.Fatal(err)
	}
	r.wants("what a list passed on", reportPause)
	r.hurry()
	r.goesOut(2)
	r.askFor(1, time.Hour) // a recall for somebody else has a report of its own
	r.wants("asked again", time.Hour)
	r.hurry()
	r.goesOut(0)
	if got := outcomes(t, s, r.id); got[1] != Unknown {
		t.Errorf("without an answer: %v", got)
	}
	if err := s.News(t.Context(), r.id, Event{Verb: "passed on", By: "e@list.test"}); err != nil {
		t.Fatal(err)
	}
	r.wants("what a list passed on after the report", newsGather)
}

// News that come while a report is written are in none that was begun before.
func TestNewsThatAReportHasMissedMakeAnother(t *testing.T) {
	s := open(t, server.StartRedis(t).Addr)
	r := reports{t, s, released(t, s, "b@x.test")}
	r.askFor(0, time.Hour)
	r.answered(0, Refused, "away")
	j := r.begins(0)
	r.answered(0, Retracted, "")
	if err := s.FinishJob(t.Context(), j, time.Hour); !errors.Is(err, ErrLost) {
		t.Errorf("it ends with the news untold: %v", err)
	}
	r.goesOut(0)
}

// An answer that comes before the first report, of somebody asked earlier, waits for those who were asked later.
func TestAReportWaitsForWhoWasAskedLast(t *testing.T) {
	s := open(t, server.StartRedis(t).Addr)
	r := reports{t, s, released(t, s, "b@x.test", "c@x.test")}
	r.askFor(0, time.Hour)
	r.askFor(1, 2*time.Hour)
	r.wants("asked twice", 2*time.Hour)
	r.answered(0, Retracted, "")
	r.wants("one has answered", 2*time.Hour)
	r.answered(1, Retracted, "")
	r.goesOut(0)
}

// Somebody sends old answers again.
func TestWhatWasAnsweredBeforeIsNoNews(t *testing.T) {
	s := open(t, server.StartRedis(t).Addr)
	r := reports{t, s, released(t, s, "b@x.test")}
	r.askFor(0, time.Hour)
	r.answered(0, Refused, "away")
	r.goesOut(0)
	r.answered(0, AlreadyRead, "")
	r.hurry()
	r.goesOut(1)
	for range 3 {
		r.answered(0, Refused, "away")
		r.answered(0, AlreadyRead, "")
	}
	if got := outcomes(t, s, r.id); got[0] != AlreadyRead {
		t.Errorf("an old answer counts: %v", got)
	}
	if at := r.at(); !at.IsZero() {
		t.Errorf("an old answer is reported at %v", at)
	}
}

// A gateway that changes its mind all day, at length.
func TestAnswersAreBounded(t *testing.T) {
	s := open(t, server.StartRedis(t).Addr)
	to := make([]string, 50)
	for n := range to {
		to[n] = fmt.Sprintf("r%d@x.test", n)
	}
	r := reports{t, s, released(t, s, to...)}
	var all []Answer
	for n := range to {
		r.askFor(n, time.Hour)
		all = append(all, Answer{n, Refused, strings.Repeat("ä", 500)})
	}
	if err := s.AddAnswers(t.Context(), r.id, "x.test", all); err != nil {
		t.Fatal(err)
	}
	for n := range 3 * maxAnswers {
		r.answered(0, Refused, fmt.Sprint("reason ", n))
	}
	h, err := s.Get(t.Context(), r.id)
	if err != nil {
		t.Fatal(err)
	}
	answers := 0
	for _, e := range h.Timeline {
		if e.Verb == "answered" {
			answers++
		}
		if len(e.Detail) > maxLine || !utf8.ValidString(e.Detail) {
			t.Errorf("a line of %d bytes", len(e.Detail))
		}
	}
	if answers != maxAnswers || h.Results[0].Detail != fmt.Sprint("reason ", maxAnswers-2) {
		t.Errorf("%d answers count, the last is %q", answers, h.Results[0].Detail)
	}
	if d := h.Results[1].Detail; len(d) > maxDetail || !strings.HasSuffix(d, "ä ...") {
		t.Errorf("a detail of %d bytes: %q", len(d), d)
	}
	r.answered(0, Retracted, "")
	if got := outcomes(t, s, r.id); got[0] != Retracted {
		t.Errorf("that it is gone counts always: %v", got[0])
	}
}

func TestAHeldMessageIsNotAskedFor(t *testing.T) {
	s := open(t, server.StartRedis(t).Addr)
	p := s.Put(Submission{Recipients: []Path{{Address: "b@x.test"}}}, []byte("Subject: x\r\n"))
	r, err := p.Commit(t.Context(), Terms{Grace: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.RequestRecall(t.Context(), r.ID, []Request{{RequestID: "X", Hold: r.ID, Recipients: []int{0}}},
		time.Hour, Actor{}); !errors.Is(err, ErrTooLate) {
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
	s.nodes.Client.ZAdd(t.Context(), string(s.nodes.Shards[0])+"jobs", redis.Z{Member: "1"}) // as if its lease had ended
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
