package exchange

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/mailbox"
	"github.com/recall-milter/recall-milter/internal/mark"
	"github.com/recall-milter/recall-milter/internal/recall"
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

// away is a mail server that can't be reached for a while.
type away struct{ yes bool }

func (a *away) Take(context.Context, mailbox.Target, func(mailbox.Result) error) (mailbox.Result, error) {
	if a.yes {
		return mailbox.Result{}, errors.New("connection refused")
	}
	return mailbox.Result{Outcome: mailbox.Retracted}, nil
}

// site is a store, and who writes mails into it.
func site(t *testing.T) (*holdstore.Store, *recall.Post) {
	t.Helper()
	store, err := holdstore.Open(holdstore.Options{Addresses: []string{server.StartRedis(t).Addr}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	texts, err := recall.ReadTexts("")
	if err != nil {
		t.Fatal(err)
	}
	return store, recall.NewPost(store, texts, "")
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

// Who asked hears after ten minutes that it takes longer, once; then what came of it; and after a day that nothing did.
func TestWhoAskedHearsThatAMailboxIsAwayAndLateNews(t *testing.T) {
	store, post := site(t)
	boxes := &away{}
	x := New(store, post, boxes, mark.New([]byte("secret")), &notes{outcomes: map[string]string{}}, Options{Keep: time.Hour})
	o := Order{RequestID: "X", CommandID: "<x@corp.test>", MessageID: "<1@corp.test>", From: "anna@corp.test", Recipients: []string{"bert@far.test"}}
	must(t, func() error { _, err := x.Take(t.Context(), o, true); return err })
	var j *holdstore.Job
	server.Eventually(t, "the job is claimed", func() bool { j, _ = store.ClaimJob(t.Context()); return j != nil })
	const waits, done, given = "Outcome: refused\r\nDiagnostic: the mailbox can't be reached now; it is tried again", "Outcome: retracted", "Diagnostic: the mailbox could not be reached"
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
