package retraction

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/mailbox"
	"github.com/recall-milter/recall-milter/internal/mark"
	"github.com/recall-milter/recall-milter/internal/post"
	"github.com/recall-milter/recall-milter/internal/protocol"
	"github.com/recall-milter/recall-milter/test/server"
)

// does tries again what a store refuses for once on a machine under load, as clients do.
func does(t *testing.T, op func() error) error {
	t.Helper()
	var err error
	server.Eventually(t, "the store answers", func() bool {
		err = op()
		return !errors.Is(err, holdstore.ErrUnavailable) && !errors.Is(err, holdstore.ErrNotDurable)
	})
	return err
}

// must is does for what can't fail otherwise.
func must(t *testing.T, op func() error) {
	t.Helper()
	if err := does(t, op); err != nil {
		t.Fatal(err)
	}
}

// away is a mail server that can't be reached for a while, gets a message late, or takes all the time there is.
type away struct {
	Mailbox
	yes, missing, slow bool
}

func (*away) Reaches(string) bool { return true }

func (a *away) Retract(ctx context.Context, _ mailbox.Target, _ func(mailbox.Result) error) (mailbox.Result, error) {
	switch {
	case a.slow:
		<-ctx.Done()
		return mailbox.Result{}, ctx.Err()
	case a.yes:
		return mailbox.Result{}, errors.New("connection refused")
	case a.missing:
		return mailbox.Result{Outcome: mailbox.NotFound}, nil
	}
	return mailbox.Result{Outcome: mailbox.Retracted}, nil
}

// site is a store, and who writes mails into it.
func site(t *testing.T) (*holdstore.Store, *post.Post) {
	t.Helper()
	store, err := holdstore.Open(holdstore.Options{Addresses: []string{server.StartRedis(t).Addr}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	texts, err := post.ReadTexts("")
	if err != nil {
		t.Fatal(err)
	}
	return store, post.New(store, texts, "")
}

// waiting are the mails of the gateway that wait, each as it will be sent.
func waiting(t *testing.T, s *holdstore.Store) (all []string) {
	t.Helper()
	must(t, func() error {
		all = nil
		ids, err := s.WaitingIDs(t.Context())
		for _, id := range ids {
			h, wrong := s.Get(t.Context(), id)
			if wrong != nil {
				return wrong
			}
			text, wrong := io.ReadAll(s.Content(t.Context(), h))
			err = errors.Join(err, wrong)
			all = append(all, string(text))
		}
		return err
	})
	return all
}

// The asker hears after ten minutes that it takes longer, once; then what came of it; and after a day that nothing did.
func TestWhoAskedHearsThatAMailboxIsAwayAndLateNews(t *testing.T) {
	store, post := site(t)
	boxes := &away{}
	x := New(store, post, boxes, mark.New([]byte("secret")), &notes{outcomes: map[string]string{}},
		Options{Keep: time.Hour})
	o := Order{RequestID: "X", CommandID: "<x@corp.test>", MessageID: "<1@corp.test>", From: "anna@corp.test",
		Recipients: []string{"bert@far.test"}}
	must(t, func() error { _, err := x.AcceptOrder(t.Context(), o, true); return err })
	var j *holdstore.Job
	server.Eventually(t, "the job is claimed", func() bool { j, _ = store.ClaimJob(t.Context()); return j != nil })
	const waits, done, given = "Outcome: refused\r\nDiagnostic: the mailbox can't be reached now; it is tried again",
		"Outcome: retracted", "Diagnostic: the mailbox could not be reached"
	for _, c := range []struct {
		age   time.Duration
		away  bool
		again bool
		said  []string // all statuses until then
	}{
		{time.Minute, true, true, nil},
		{11 * time.Minute, true, true, []string{waits}},
		{12 * time.Minute, true, true, []string{waits}},
		{13 * time.Minute, false, false, []string{waits, done}},
		{14 * time.Minute, true, false, []string{waits, done}},      // the job was not ended: it is done again
		{25 * time.Hour, true, false, []string{waits, done, given}}, // nothing of it was noted
	} {
		if c.age > giveUpAfter {
			o.Done = nil
		}
		j.Since, boxes.yes = time.Now().Add(-c.age), c.away
		if err := does(t, func() error { return x.retract(t.Context(), j, &o) }); (err != nil) != c.again {
			t.Errorf("%v: %v", c.age, err)
		}
		said := waiting(t, store)
		if len(said) != len(c.said) {
			t.Errorf("%v: %d statuses:\n%s", c.age, len(said), said)
		}
		for _, want := range c.said {
			if !strings.Contains(strings.Join(said, ""), want) {
				t.Errorf("%v: nobody hears %q:\n%s", c.age, want, said)
			}
		}
	}
}

// A recall is faster than its message, which comes at some look, or never. The asker hears of the second look and of
// what comes later, or of the only one when the message came in long ago.
func TestAMessageThatIsNotThereYetIsLookedForAgain(t *testing.T) {
	store, post := site(t)
	for n, c := range []struct {
		age   time.Duration
		comes int             // at this look; 0: never
		again []time.Duration // after each look
		said  []string
	}{
		{time.Minute, 2, []time.Duration{4 * time.Second}, []string{"retracted"}},
		{time.Minute, 4, []time.Duration{4 * time.Second, 16 * time.Second, 64 * time.Second},
			[]string{"not-found", "retracted"}},
		{time.Minute, 0, []time.Duration{4 * time.Second, 16 * time.Second, 64 * time.Second, 256 * time.Second,
			1024 * time.Second, 4096 * time.Second}, []string{"not-found"}},
		{25 * time.Hour, 0, nil, []string{"not-found"}},
	} {
		boxes := &away{}
		log := &notes{outcomes: map[string]string{}}
		x := New(store, post, boxes, mark.New([]byte("secret")), log, Options{Keep: time.Hour})
		o := Order{RequestID: fmt.Sprint("X", n), CommandID: "<x@corp.test>", MessageID: "<1@corp.test>",
			From: "anna@corp.test", Recipients: []string{"bert@far.test"}, Received: time.Now().Add(-c.age)}
		must(t, func() error { _, err := x.AcceptOrder(t.Context(), o, true); return err })
		var j *holdstore.Job
		server.Eventually(t, "the job is claimed", func() bool { j, _ = store.ClaimJob(t.Context()); return j != nil })
		var again []time.Duration
		for look := 1; look < 20; look++ {
			boxes.missing = look != c.comes
			var try Order
			err := does(t, func() error { try = o; return x.retract(t.Context(), j, &try) })
			o = try
			var in later
			if !errors.As(err, &in) {
				must(t, func() error { return err })
				break
			}
			again = append(again, time.Duration(in))
		}
		if !slices.Equal(again, c.again) {
			t.Errorf("%d: looked again after %v, want %v", n, again, c.again)
		}
		var said []string
		for _, mail := range waiting(t, store) {
			if strings.Contains(mail, "Request-Id: "+o.RequestID+"\r") {
				_, outcome, _ := strings.Cut(mail, "Outcome: ")
				outcome, _, _ = strings.Cut(outcome, "\r")
				said = append(said, outcome)
			}
		}
		if slices.Sort(said); !slices.Equal(said, c.said) {
			t.Errorf("%d: the asker hears %q, want %q", n, said, c.said)
		}
		must(t, func() error { return store.FinishJob(t.Context(), j, time.Hour) })
	}
}

// Looks for what was not found end in time for what is left to do, however slow the mail server is.
func TestLooksLeaveTimeForTheRest(t *testing.T) {
	store, post := site(t)
	boxes := &away{missing: true}
	log := &notes{outcomes: map[string]string{}}
	x := New(store, post, boxes, mark.New([]byte("secret")), log, Options{Keep: time.Hour})
	o := Order{RequestID: "X", CommandID: "<x@corp.test>", MessageID: "<1@corp.test>", From: "anna@corp.test",
		Recipients: []string{"bert@far.test", "carl@far.test"}, Received: time.Now()}
	must(t, func() error { _, err := x.AcceptOrder(t.Context(), o, true); return err })
	var j *holdstore.Job
	server.Eventually(t, "the job is claimed", func() bool { j, _ = store.ClaimJob(t.Context()); return j != nil })
	for _, want := range []time.Duration{4 * time.Second, 16 * time.Second} {
		var in later
		server.Eventually(t, "a look is done", func() bool {
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			defer cancel()
			try := o // as it is read again
			if errors.As(x.retract(ctx, j, &try), &in) {
				o = try
			}
			return in != 0
		})
		if time.Duration(in) != want {
			t.Errorf("the next look is in %v, want %v", time.Duration(in), want)
		}
		if got := log.of("bert@far.test"); got != protocol.StatusNotFound {
			t.Errorf("a look that did not end found that it is %q", got)
		}
		boxes.slow = true
	}
}

// journal is a log that is read.
type journal struct {
	*notes
	mu   sync.Mutex
	said []string
}

func (j *journal) Trouble(what string, _ error) { j.note(what) }

func (j *journal) Recovered(what string, _ time.Duration) { j.note(what) }

func (j *journal) note(what string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.said = append(j.said, what)
}

// flaky is a store that is away for the first of what is written of each attempt.
type flaky struct {
	Store
	tries int
}

func (f *flaky) RetryJob(ctx context.Context, j *holdstore.Job, in time.Duration) error {
	if f.tries++; f.tries%2 == 1 {
		return holdstore.ErrUnavailable
	}
	return f.Store.RetryJob(ctx, j, in)
}

func (f *flaky) FinishJob(ctx context.Context, j *holdstore.Job, known time.Duration) error {
	if f.tries++; f.tries%2 == 1 {
		return holdstore.ErrUnavailable
	}
	return f.Store.FinishJob(ctx, j, known)
}

// The log says that a job waits, for a mailbox server that is away or whatever it needs, and then that it is done.
func TestTheLogSaysThatAJobIsDoneAtLast(t *testing.T) {
	store, post := site(t)
	log := &journal{}
	x := New(&flaky{Store: store}, post, &away{}, mark.New([]byte("secret")), log, Options{Keep: time.Hour})
	o := Order{RequestID: "X", CommandID: "<x@corp.test>", MessageID: "<1@corp.test>", From: "anna@corp.test",
		Recipients: []string{"bert@far.test"}}
	must(t, func() error { _, err := x.AcceptOrder(t.Context(), o, true); return err })
	var j *holdstore.Job
	for _, err := range []error{errors.New("connection refused"), errors.New("connection refused"), nil} {
		server.Eventually(t, "the job is claimed", func() bool { j, _ = store.ClaimJob(t.Context()); return j != nil })
		if x.end(t.Context(), j, err) == nil {
			t.Error("the store is away, and nobody hears of it")
		}
		must(t, func() error { return x.end(t.Context(), j, err) })
	}
	if want := []string{"a job for recalls (" + j.ID + ") is tried again until it is done",
		"the job for recalls " + j.ID + " is done"}; !slices.Equal(log.said, want) {
		t.Errorf("%q", log.said)
	}
}
