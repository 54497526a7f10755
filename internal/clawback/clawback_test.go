package clawback

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/mailbox"
	"github.com/recall-milter/recall-milter/test/server"
)

// dying is a store whose caller dies before a job is added.
type dying struct {
	*holdstore.Store
	lives int // calls
	jobs  map[string]bool
}

var errDied = errors.New("died")

func (d *dying) AddJob(_ context.Context, id, _ string, _ any, _ time.Duration) error {
	if d.lives--; d.lives < 0 {
		return errDied
	}
	d.jobs[id] = true
	return nil
}

// What was moved can be undone, and what a dry run would have moved can't.
func TestOnlyWhatWasMovedIsUndone(t *testing.T) {
	t.Parallel()
	s, err := holdstore.Open(holdstore.Options{Addresses: []string{server.StartRedis(t).Addr}, Durability: "strict"})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	id, there := s.NewClawID(), mailbox.Copy{Folder: "INBOX", ID: "1/1", To: "Trash", Now: "1/2"}
	copies := map[string][]mailbox.Copy{"moved@a.test": {there}, "would@a.test": {{Folder: "INBOX", ID: "1/1"}},
		"there@a.test": {{Folder: "Trash", ID: "1/1", Now: "1/1", Stays: true}}}
	var all []Mailbox
	for recipient := range copies {
		all = append(all, Mailbox{Recipient: recipient, MessageID: "<1@evil.test>"})
	}
	d := &dying{s, 100, map[string]bool{}}
	if err := Start(t.Context(), d, id, Order{}, all, time.Hour); err != nil {
		t.Fatal(err)
	}
	for n, box := range all {
		r := mailbox.Clawed{Outcome: mailbox.Moved, Copies: copies[box.Recipient]}
		if err := s.EndClaw(t.Context(), id, n, r.Outcome, r, false, time.Hour, holdstore.Entry{Verb: VerbTake}); err != nil {
			t.Fatal(err)
		}
	}
	c, err := s.ClawBack(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if boxes, err := Moved(t.Context(), s, c); err != nil || len(boxes) != 1 || boxes[0].Recipient != "moved@a.test" {
		t.Errorf("to be moved back: %+v, %v", boxes, err)
	}
}

// Whoever orders a claw back may die before its jobs are there: the first of them adds the others.
func TestWhatWasOrderedIsDoneInFull(t *testing.T) {
	t.Parallel()
	s, err := holdstore.Open(holdstore.Options{Addresses: []string{server.StartRedis(t).Addr}, Durability: "strict"})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var all []Mailbox
	for n := range 25 {
		all = append(all, Mailbox{Recipient: fmt.Sprintf("u%d@%c.test", n, 'a'+n%2), MessageID: "<1@evil.test>"})
	}
	for lives := range 6 {
		d := &dying{s, lives, map[string]bool{}}
		id := s.NewClawID()
		err := Start(t.Context(), d, id, Order{}, all, time.Hour)
		c, missing := s.ClawBack(t.Context(), id)
		if (err == nil) != (lives == 5) || (missing == nil) != (lives > 0) {
			t.Errorf("after %d jobs: %v, %v", lives, err, missing)
		}
		if lives == 0 { // nothing is ordered, and nothing will be
			continue
		}
		d.lives = 100
		if err := Spread(t.Context(), d, c); err != nil || len(d.jobs) != 5 {
			t.Errorf("after %d jobs: %d are there of 5, %v", lives, len(d.jobs), err)
		}
	}
}

func TestCopiesWithAnotherContentAreApart(t *testing.T) {
	t.Parallel()
	s, err := holdstore.Open(holdstore.Options{Addresses: []string{server.StartRedis(t).Addr}, Durability: "strict"})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	now := time.Now()
	for n, d := range []holdstore.Delivered{
		{Author: "m@evil.test", Subject: "account", Header: "1", Body: "x", Recipients: []string{"a@corp.test"}},
		{Author: "m@evil.test", Subject: "account", Header: "1", Body: "x", Recipients: []string{"b@corp.test"}},
		{Author: "m@evil.test", Subject: "account", Header: "1", Body: "y", Recipients: []string{"a@corp.test"}},
		{Author: "o@evil.test", Subject: "lunch", Header: "2", Body: "x", Recipients: []string{"a@corp.test"}},
		{Author: "m@evil.test", Subject: "account", Header: "1", Body: "x",
			Recipients: []string{"A@corp.test", "c@corp.test"}},
	} {
		d.MessageID, d.At = "<1@evil.test>", now.Add(time.Duration(n)*time.Second)
		r := holdstore.Remembered{MessageID: d.MessageID, From: d.Author, Recipients: d.Recipients, At: d.At,
			Subjects: []string{d.Subject, d.Body}, Delivered: &d}
		if err := s.Remember(t.Context(), []holdstore.Remembered{r}, time.Hour); err != nil {
			t.Fatal(err)
		}
	}
	for _, q := range []holdstore.DeliveredQuery{{MessageIDs: []string{"1@evil.test"}}, {Sender: "m@evil.test"},
		{Subject: "account"}} {
		f, err := Find(t.Context(), s, q)
		if err != nil || len(f.Messages) != 1 || len(f.Apart) != 2 {
			t.Fatalf("%+v: %+v, %v", q, f, err)
		}
		got := slices.Sorted(slices.Values(f.Messages[0].Recipients))
		if !slices.Equal(got, []string{"a@corp.test", "b@corp.test", "c@corp.test"}) || len(f.Mailboxes(true)) != 5 {
			t.Errorf("%+v: %q, with all %d", q, got, len(f.Mailboxes(true)))
		}
		// An equal message that came in long ago makes neither a later copy old, nor what others got.
		for _, m := range f.Mailboxes(false) {
			came := map[string][2]time.Time{"a@corp.test": {now, now.Add(4 * time.Second)},
				"b@corp.test": {now.Add(time.Second)}, "c@corp.test": {now.Add(4 * time.Second)}}[m.Recipient]
			if first, last := came[0], came[1]; !m.Received.Equal(first) || !m.Last.Equal(last) {
				t.Errorf("%s got it from %v to %v", m.Recipient, m.Received, m.Last)
			}
		}
	}
}
