package mailbox

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"
)

// all is every mailbox of a site, with what a server's policy says of notices and age.
func (s *site) all(notice, unread, read string, maxAge time.Duration) *Mailboxes {
	s.t.Helper()
	its := s.settings()
	its.Notice, its.MaxAge = notice, maxAge
	m, err := New([]Server{its.Server}, Policy{Unread: unread, Read: read})
	if err != nil {
		s.t.Fatal(err)
	}
	return m
}

// Who is told that a message was taken out of their mailbox: nobody, whoever had read it, or everybody. A message that
// stays, and one that a notice stands for, is told to nobody.
func TestWhoIsToldThatAMessageWasTaken(t *testing.T) {
	s := start(t, "delete", "keep")
	for _, c := range []struct {
		unread, read string
		was          imap.Flag // what its user did with it; empty: nothing
		told         map[string]bool
	}{
		{"delete", "keep", "", map[string]bool{NoticeAlways: true}},
		{"delete", "keep", imap.FlagSeen, nil},
		{"delete", "delete", imap.FlagSeen, map[string]bool{NoticeReaders: true, NoticeAlways: true}},
		{"move:Recalled", "keep", "", map[string]bool{NoticeAlways: true}},
		{"delete", "move:Recalled", imap.FlagAnswered, map[string]bool{NoticeReaders: true, NoticeAlways: true}},
		{"replace", "keep", "", nil},
	} {
		for _, notice := range []string{"never", NoticeReaders, NoticeAlways} {
			s.deliver(message(id))
			if c.was != "" {
				s.flag("INBOX", id, c.was)
			}
			m, planned := s.all(notice, c.unread, c.read, 0), false
			r, err := m.Retract(context.Background(), target(id), func(r Result) error { planned = r.Notice; return nil })
			if err != nil || r.Notice != c.told[notice] || planned && !r.Notice {
				t.Errorf("%+v with notice = %s: %+v, %v", c, notice, r, err)
			}
			s.empties("INBOX", "Recalled")
		}
	}
	for _, c := range []struct {
		notice string
		seen   bool
		dry    bool
		told   bool
	}{
		{"never", true, false, false}, {NoticeReaders, false, false, false}, {NoticeReaders, true, false, true},
		{NoticeAlways, false, false, true}, {NoticeAlways, true, true, false},
	} {
		text := message(id)
		s.deliver(text)
		if c.seen {
			s.flag("INBOX", id, imap.FlagSeen)
		}
		claw := clawOf(t, text)
		claw.DryRun = c.dry
		m := s.all(c.notice, "delete", "keep", 0)
		r, err := m.ClawBack(context.Background(), claw, nil, func([]Copy) error { return nil })
		if err != nil || r.Notice != c.told {
			t.Errorf("claw back %+v: %+v, %v", c, r, err)
		}
		if again, err := m.ClawBack(context.Background(), claw, nil, func([]Copy) error { return nil }); err != nil ||
			again.Notice && !c.dry {
			t.Errorf("where it was taken already: %+v, %v", again, err)
		}
		s.empties("INBOX", "Trash")
	}
}

// empties removes all messages of folders.
func (s *site) empties(folders ...string) {
	s.t.Helper()
	for _, folder := range folders {
		if len(s.ids(folder)) == 0 {
			continue
		}
		all := imap.SeqSet{imap.SeqRange{Start: 1}}
		err := s.Store(all, &imap.StoreFlags{Op: imap.StoreFlagsAdd, Flags: []imap.Flag{imap.FlagDeleted}}, nil).Close()
		if err == nil {
			err = s.Expunge().Close()
		}
		if err != nil {
			s.t.Fatal(err)
		}
	}
}

// Mail that was older than the server's age when it was asked for stays, and the outcome says why; so does a dry run.
func TestOldMailIsLeftAlone(t *testing.T) {
	s := start(t, "delete", "keep")
	text, now := message(id), time.Now()
	s.deliver(text)
	m := s.all("", "delete", "delete", 30*24*time.Hour)
	old, late := target(id), clawOf(t, text)
	old.Received, old.Asked = now.Add(-31*24*time.Hour), now
	late.Received, late.Asked = old.Received, now
	r, err := m.Retract(context.Background(), old, nil)
	if err != nil || r.Outcome != Refused || !strings.Contains(r.Detail, "older than 30d") {
		t.Errorf("a recall: %+v, %v", r, err)
	}
	for _, dry := range []bool{true, false} {
		late.DryRun = dry
		r, err := m.ClawBack(context.Background(), late, nil, nil)
		if err != nil || r.Outcome != TooOld || !strings.Contains(r.Detail, "older than 30d") {
			t.Errorf("a claw back, dry %v: %+v, %v", dry, r, err)
		}
	}
	s.has("INBOX", id)
	late.Last, late.DryRun = now, true // an equal message came in long ago, so that this one looks old
	if r, err := m.ClawBack(context.Background(), late, nil, nil); err != nil || r.Outcome != Moved {
		t.Errorf("one that came in again: %+v, %v", r, err)
	}
	late.Last, late.DryRun = time.Time{}, false
	late.Asked = now.Add(-48 * time.Hour) // it was young enough then, and the server was away since
	clawed, err := m.ClawBack(context.Background(), late, nil, func([]Copy) error { return nil })
	if err != nil || clawed.Outcome != Moved {
		t.Errorf("%+v, %v", clawed, err)
	}
	if r, err := m.GiveBack(context.Background(), late, clawed.Copies, nil); err != nil || r.Outcome != Returned {
		t.Errorf("an undo knows no age: %+v, %v", r, err)
	}
	old.Received = now.Add(-29 * 24 * time.Hour)
	r, err = m.Retract(context.Background(), old, func(Result) error { return nil })
	if err != nil || r.Outcome != Retracted {
		t.Errorf("a younger one: %+v, %v", r, err)
	}
	s.has("INBOX")
}
