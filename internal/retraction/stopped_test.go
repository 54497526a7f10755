package retraction

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/clawback"
	"github.com/recall-milter/recall-milter/internal/mailbox"
	"github.com/recall-milter/recall-milter/internal/mark"
)

// undoing moves whatever it is asked to; before hears of each mailbox from which it does.
type undoing struct {
	Mailbox
	before func(recipient string)
}

func (u *undoing) ClawBack(
	_ context.Context, c mailbox.Claw, _ []mailbox.Copy, _ func([]mailbox.Copy) error,
) (mailbox.Clawed, error) {
	u.before(c.Recipient)
	return mailbox.Clawed{Outcome: mailbox.Moved,
		Copies: []mailbox.Copy{{Folder: "INBOX", ID: "1/1", To: "Trash", Now: "1/2"}}}, nil
}

func (*undoing) GiveBack(
	_ context.Context, _ mailbox.Claw, copies []mailbox.Copy, _ func([]mailbox.Copy) error,
) (mailbox.Clawed, error) {
	return mailbox.Clawed{Outcome: mailbox.Returned, Copies: copies}, nil
}

// An operator undoes a claw back while it is under way: what is not begun stays where it is, what is just being done is
// left for a second undo, and a third has nothing to do.
func TestAnUndoStopsWhatIsNotBegun(t *testing.T) {
	t.Parallel()
	store, post := site(t)
	boxes := &undoing{before: func(string) {}}
	x := New(store, post, boxes, mark.New([]byte("secret")), &notes{outcomes: map[string]string{}},
		Options{Keep: time.Hour})
	var all []clawback.Mailbox
	for n := range 5 {
		all = append(all, clawback.Mailbox{Recipient: fmt.Sprintf("u%d@corp.test", n), MessageID: "<1@evil.test>"})
	}
	id := store.NewClawID()
	must(t, func() error { return clawback.Start(t.Context(), store, id, clawback.Order{}, all, time.Hour) })
	head := func(id string) (c *holdstore.ClawBack) {
		must(t, func() (err error) { c, err = store.ClawBack(t.Context(), id); return err })
		return c
	}
	undo := func() (some []clawback.Mailbox, names string) {
		must(t, func() (err error) {
			some, err = clawback.Undo(t.Context(), store, head(id), holdstore.Actor{By: "test"})
			return err
		})
		for _, m := range some {
			names += m.Recipient[:2] + " "
		}
		return some, names
	}
	work := func(id string) {
		p := clawback.Part{ID: id}
		for n := range head(id).Mailboxes {
			p.Numbers = append(p.Numbers, n)
		}
		must(t, func() error { return x.clawBack(t.Context(), &holdstore.Job{ID: id, Since: time.Now()}, &p) })
	}
	var first []clawback.Mailbox
	boxes.before = func(recipient string) {
		if recipient != "u2@corp.test" {
			return
		}
		var names string
		if first, names = undo(); names != "u0 u1 " {
			t.Errorf("in the midst of it, an undo brings back %s", names)
		}
	}
	work(id)
	var outcomes []string
	must(t, func() error {
		outcomes = nil
		return clawback.Outcomes(t.Context(), store, head(id), func(o clawback.Outcome) error {
			outcomes = append(outcomes, o.Outcome())
			return nil
		})
	})
	if !slices.Equal(outcomes, []string{"moved", "moved", "moved", "refused", "refused"}) {
		t.Errorf("outcomes: %s", strings.Join(outcomes, " "))
	}
	back := store.NewClawID()
	must(t, func() error {
		return clawback.Start(t.Context(), store, back, clawback.Order{Of: id}, first, time.Hour)
	})
	work(back)
	if _, names := undo(); names != "u2 " {
		t.Errorf("after the first undo a second one brings back %q", names)
	}
	rest, _ := undo()
	back = store.NewClawID()
	must(t, func() error {
		return clawback.Start(t.Context(), store, back, clawback.Order{Of: id}, rest, time.Hour)
	})
	work(back)
	if _, names := undo(); names != "" {
		t.Errorf("a third undo brings back %q", names)
	}
}

// Whoever orders a claw back can die at any moment: before its order is in the store, and before its jobs are. The
// first job waits for the order, and adds the other jobs; what was never ordered is given up after a while.
func TestAnOrderThatWasCutOffIsCarriedOutInFull(t *testing.T) {
	t.Parallel()
	store, post := site(t)
	x := New(store, post, &undoing{before: func(string) {}}, mark.New([]byte("secret")),
		&notes{outcomes: map[string]string{}}, Options{Keep: time.Hour})
	id := store.NewClawID()
	first := func(since time.Time) error {
		return x.clawBack(t.Context(), &holdstore.Job{ID: "first", Since: since}, &clawback.Part{ID: id})
	}
	var in later
	if err := first(time.Now()); !errors.As(err, &in) {
		t.Errorf("before there is an order: %v", err)
	}
	if err := first(time.Now().Add(-2 * orderTime)); err != nil {
		t.Errorf("long after, without an order: %v", err)
	}
	targets := make([]any, 25)
	for n := range targets {
		targets[n] = clawback.Mailbox{Recipient: fmt.Sprintf("u%d@corp.test", n), MessageID: "<1@evil.test>"}
	}
	must(t, func() error {
		return store.AddClawBack(t.Context(), id, clawback.Order{}, targets, time.Hour, holdstore.Entry{Verb: "retract"})
	})
	must(t, func() error { return first(time.Now()) })
	for {
		j, err := store.ClaimJob(t.Context(), holdstore.OperatorLane())
		if err != nil {
			t.Fatal(err)
		}
		if j == nil {
			break
		}
		var p clawback.Part
		must(t, func() error { return j.Read(&p) })
		must(t, func() error { return x.clawBack(t.Context(), j, &p) })
		must(t, func() error { return store.FinishJob(t.Context(), j, time.Hour) })
	}
	c, err := store.ClawBack(t.Context(), id)
	if err != nil || c.Left > 0 {
		t.Errorf("%+v, %v", c, err)
	}
}
