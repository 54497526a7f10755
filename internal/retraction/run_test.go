package retraction

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/mailbox"
	"github.com/recall-milter/recall-milter/internal/mark"
	"github.com/recall-milter/recall-milter/internal/protocol"
	"github.com/recall-milter/recall-milter/test/server"
)

// boxesOf are mailboxes of which some never answer, and some meet a defect of ours.
type boxesOf struct {
	Mailbox
	tried []string
}

func (*boxesOf) Reaches(recipient string) bool { return !strings.HasSuffix(recipient, "@closed.test") }

func (b *boxesOf) Retract(ctx context.Context, t mailbox.Target, _ func(mailbox.Result) error) (mailbox.Result, error) {
	b.tried = append(b.tried, t.Recipient)
	switch {
	case strings.HasPrefix(t.Recipient, "hangs"):
		<-ctx.Done()
		return mailbox.Result{}, ctx.Err()
	case strings.HasPrefix(t.Recipient, "breaks"):
		panic("a defect")
	}
	return mailbox.Result{Outcome: mailbox.Retracted}, nil
}

func order(x *Retractor, t *testing.T, id string, to ...string) {
	o := Order{RequestID: id, CommandID: "<x@corp.test>", MessageID: "<1@corp.test>", From: "anna@corp.test",
		Recipients: to}
	must(t, func() error { _, err := x.AcceptOrder(t.Context(), o, true); return err })
}

func claimed(t *testing.T, store *holdstore.Store) (j *holdstore.Job) {
	t.Helper()
	server.Eventually(t, "the job is claimed", func() bool { j, _ = store.ClaimJob(t.Context()); return j != nil })
	return j
}

// One mailbox that hangs costs the others nothing: they have their turn in the same attempt, and it comes last in the
// next.
func TestAMailboxThatHangsCostsNoOtherItsOutcome(t *testing.T) {
	store, post := site(t)
	boxes, log := &boxesOf{}, &notes{outcomes: map[string]string{}}
	x := New(store, post, boxes, mark.New([]byte("secret")), log, Options{Keep: time.Hour})
	order(x, t, "X", "hangs@far.test", "bert@far.test", "carl@far.test")
	ctx, cancel := context.WithTimeout(t.Context(), leastShare*3)
	defer cancel()
	j := claimed(t, store)
	var o Order
	must(t, func() error { return j.Read(&o) })
	if err := x.retract(ctx, j, &o); err == nil || ctx.Err() != nil {
		t.Fatalf("%v, %v", err, ctx.Err())
	}
	if log.of("bert@far.test") != protocol.StatusRetracted || log.of("carl@far.test") != protocol.StatusRetracted {
		t.Errorf("outcomes %q", log.outcomes)
	}
	if o.Recipients[2] != "hangs@far.test" ||
		!slices.Equal(boxes.tried, []string{"hangs@far.test", "bert@far.test", "carl@far.test"}) {
		t.Errorf("tried %q, then %q", boxes.tried, o.Recipients)
	}
}

// An attempt that used up its time still gets its back-off, and an outcome.
func TestTheEndOfAJobHasTimeOfItsOwn(t *testing.T) {
	store, post := site(t)
	x := New(store, post, &boxesOf{}, mark.New([]byte("secret")), &notes{outcomes: map[string]string{}},
		Options{Keep: time.Hour})
	order(x, t, "X", "bert@far.test")
	j := claimed(t, store)
	over, cancel := context.WithCancel(t.Context())
	cancel()
	x.do(over, j)
	if jobs, err := store.OverdueJobs(t.Context(), 0); err != nil || jobs.Count != 0 {
		t.Errorf("%d jobs are left (%v)", jobs.Count, err)
	}
}

// A job that meets a defect each time is parked after three of them, and the next one is done.
func TestAJobThatMeetsADefectIsParked(t *testing.T) {
	store, post := site(t)
	log := &notes{outcomes: map[string]string{}}
	x := New(store, post, &boxesOf{}, mark.New([]byte("secret")), log, Options{Keep: time.Hour})
	order(x, t, "X", "breaks@far.test")
	for range holdstore.ParkAfter {
		x.do(t.Context(), claimed(t, store))
	}
	order(x, t, "Y", "bert@far.test")
	x.do(t.Context(), claimed(t, store))
	if log.of("bert@far.test") != protocol.StatusRetracted {
		t.Errorf("the other job: %q", log.outcomes)
	}
	_, jobs, err := store.Parked(t.Context(), 10)
	if err != nil || len(jobs) != 1 || !strings.Contains(jobs[0], "far.test") && !strings.Contains(jobs[0], "X") {
		t.Errorf("parked: %q (%v)", jobs, err)
	}
	found := ""
	for f, err := range store.Fsck(t.Context(), true, nil) {
		if err != nil {
			t.Fatal(err)
		}
		found += f.Name + " " + f.What + "\n"
	}
	if !strings.Contains(found, "it is parked") || !strings.Contains(found, "a defect") {
		t.Errorf("fsck finds %q", found)
	}
	if j := claimed(t, store); j.Kind != jobRetract { // repair puts it back
		t.Errorf("claimed %+v", j)
	}
}
