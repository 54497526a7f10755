package mailbox

import (
	"bufio"
	"context"
	"errors"
	"net/textproto"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"

	"github.com/recall-milter/recall-milter/internal/fingerprint"
)

// clawOf is a claw back of a message as anna wrote it.
func clawOf(t *testing.T, text string) Claw {
	t.Helper()
	head, body, _ := strings.Cut(text, "\r\n\r\n")
	fields, err := textproto.NewReader(bufio.NewReader(strings.NewReader(head + "\r\n\r\n"))).ReadMIMEHeader()
	if err != nil {
		t.Fatal(err)
	}
	var print fingerprint.Body
	print.Write([]byte(body))
	return Claw{Recipient: bert, MessageID: id, Received: time.Now(),
		Print: fingerprint.Print{Header: fingerprint.OfHeader(fields.Values), Body: print.Sum()}}
}

// claws takes a message out, and wants an outcome.
func (s *site) claws(c Claw, want string) Clawed {
	s.t.Helper()
	r, err := s.ClawBack(context.Background(), c, nil, func([]Copy) error { return nil })
	if err != nil || r.Outcome != want {
		s.t.Fatalf("got %+v, %v; want %s\n%s", r, err, want, s.box.Log())
	}
	return r
}

func (s *site) gives(c Claw, copies []Copy, want string) {
	s.t.Helper()
	if r, err := s.GiveBack(context.Background(), c, copies, nil); err != nil || r.Outcome != want {
		s.t.Fatalf("got %+v, %v; want %s\n%s", r, err, want, s.box.Log())
	}
}

func TestAClawBackTakesEveryCopyOfThisContentOnly(t *testing.T) {
	s := start(t, "delete", "keep")
	text := message(id)
	changed := strings.Replace(text, "the prices", "other prices", 1)
	renamed := strings.Replace(text, "Subject: the", "Subject: The", 1)
	liar := strings.Replace(text, "Anna <"+anna+">", "Anna <mallory@evil.test>", 1)
	s.deliver(text)
	s.flag("INBOX", id, imap.FlagSeen)
	s.moves("INBOX", id, "Archive")
	s.deliver(changed, text, renamed, liar, message(other(1)))
	c := clawOf(t, text)
	if r := s.claws(c, Moved); r.Others != 3 || r.Detail != "2 copies, 1 of them unread" {
		t.Errorf("%+v", r)
	}
	s.has("INBOX", id, id, id, other(1))
	s.has("Archive")
	s.has("Trash", id, id)
	r := s.claws(c, Moved)
	if r.Detail != "it was there already" {
		t.Errorf("again: %+v", r)
	}
	s.gives(c, r.Copies, NotFound)
	s.has("Trash", id, id)
}

func TestWhatIsGivenBackIsAsItWas(t *testing.T) {
	s := start(t, "delete", "keep")
	text := message(id)
	s.deliver(text, text)
	s.flag("INBOX", id, imap.FlagFlagged)
	s.moves("INBOX", id, "Work.Offers")
	s.deliver(text)
	c := clawOf(t, text)
	c.Folder = "Quarantine"
	r := s.claws(c, Moved)
	s.has("Quarantine", id, id, id)
	s.gives(c, r.Copies, Returned)
	s.has("Quarantine")
	s.has("INBOX", id)
	s.has("Work.Offers", id, id)
	for folder, flagged := range map[string]bool{"INBOX": false, "Work.Offers": true} {
		for _, m := range s.flagsOf(folder) {
			if has(m, imap.FlagFlagged) != flagged || has(m, imap.FlagSeen) || has(m, imap.FlagDeleted) {
				t.Errorf("%s: %v", folder, m)
			}
		}
	}
	s.gives(c, r.Copies, NotFound) // they are not where they were moved to
	s.has("INBOX", id)
}

// flagsOf are the flags of all messages in a folder.
func (s *site) flagsOf(folder string) (all [][]imap.Flag) {
	s.t.Helper()
	if _, err := s.Select(folder, &imap.SelectOptions{ReadOnly: true}).Wait(); err != nil {
		s.t.Fatal(err)
	}
	messages, err := s.Fetch(imap.SeqSet{imap.SeqRange{Start: 1}}, &imap.FetchOptions{Flags: true}).Collect()
	if err != nil {
		s.t.Fatal(err)
	}
	for _, m := range messages {
		all = append(all, m.Flags)
	}
	return all
}

func TestAClawBackDeletesForGoodOrOnlyLooks(t *testing.T) {
	s := start(t, "delete", "keep")
	text := message(id)
	s.deliver(text, message(other(1)))
	s.flag("INBOX", other(1), imap.FlagDeleted)
	c := clawOf(t, text)
	c.DryRun = true
	s.claws(c, Moved)
	c.Delete = true
	s.claws(c, Removed)
	s.has("INBOX", id, other(1))
	c.DryRun = false
	s.claws(c, Removed)
	s.has("INBOX", other(1))
	s.has("Trash")
	s.claws(c, NotFound)
	s.deliver(text)
	settings := s.settings()
	settings.DryRun = true // of the site
	s.with(settings)
	s.claws(c, Removed)
	s.has("INBOX", other(1), id)
	nobody := c
	nobody.Recipient, nobody.MessageID = bert+"*carl", id
	s.claws(nobody, NotFound)
}

// What a filter behind the gateway has changed is taken where that is asked for, and the outcome tells it apart. What
// has two Message-IDs, or another one, stays.
func TestAClawBackOfChangedContent(t *testing.T) {
	s := start(t, "delete", "keep")
	text := message(id)
	banner := strings.Replace(text, "the prices", "CAUTION: external\r\nthe prices", 1)
	twice := strings.Replace(text, "Message-ID: "+id, "Message-ID: "+id+"\r\nMessage-ID: "+other(3), 1)
	s.deliver(banner, message("<x"+id[1:]), twice)
	c := clawOf(t, text)
	if r := s.claws(c, NotFound); r.Others == 0 {
		t.Errorf("without being asked to: %+v", r)
	}
	s.deliver(text)
	c.Changed = true
	r := s.claws(c, Moved)
	if r.Changed != 1 || r.Detail != "2 copies, 2 of them unread; 1 with another content" {
		t.Errorf("%+v", r)
	}
	s.has("Trash", id, id)
	c.Changed = false
	s.gives(c, r.Copies, Returned)
	s.has("Trash")
}

// Any content: what has this Message-ID and came by mail.
func TestAClawBackOfAnyContent(t *testing.T) {
	s := start(t, "delete", "keep")
	s.deliver(message(id), strings.Replace(message(id), "prices", "pr", 1), message("<x"+id[1:]))
	c := clawOf(t, message(id))
	c.Print = fingerprint.Print{}
	s.claws(c, Moved)
	s.has("INBOX", "<x"+id[1:])
}

// A try ends at each of its notes, and another goes on with what the note said.
func TestAClawBackGoesOnWhereItWasCutOff(t *testing.T) {
	s := start(t, "delete", "keep")
	text := message(id)
	s.deliver(text, text, text)
	s.deliver(message(other(1)))
	c := clawOf(t, text)
	died := errors.New("died")
	for stop := 1; stop <= 3; stop++ {
		var plan []Copy
		notes := 0
		note := func(copies []Copy) error {
			if notes++; notes == stop {
				return died // the note was not written
			}
			plan = slices.Clone(copies)
			return nil
		}
		if _, err := s.ClawBack(context.Background(), c, nil, note); !errors.Is(err, died) {
			t.Fatal(err)
		}
		r, err := s.ClawBack(context.Background(), c, plan, func([]Copy) error { return nil })
		if err != nil || r.Outcome != Moved {
			t.Fatalf("%d: %+v, %v", stop, r, err)
		}
		s.has("Trash", id, id, id)
		s.gives(c, r.Copies, Returned)
		s.has("INBOX", other(1), id, id, id)
	}
}

// A MOVE that is cut off may leave the message in both folders.
func TestAMoveThatWasCutOffLeavesNoSecondCopy(t *testing.T) {
	s := start(t, "delete", "keep")
	text := message(id)
	s.deliver(text)
	c := clawOf(t, text)
	var plan []Copy
	died := errors.New("died")
	note := func(copies []Copy) error { plan = slices.Clone(copies); return died }
	_, err := s.ClawBack(context.Background(), c, nil, note)
	if !errors.Is(err, died) {
		t.Fatal(err)
	}
	if _, err := s.Select("INBOX", nil).Wait(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Copy(imap.SeqSetNum(1), "Trash").Wait(); err != nil {
		t.Fatal(err)
	}
	r, err := s.ClawBack(context.Background(), c, plan, func([]Copy) error { return nil })
	if err != nil || r.Outcome != Moved {
		t.Fatalf("%+v, %v", r, err)
	}
	s.has("INBOX")
	s.has("Trash", id)
	s.gives(c, r.Copies, Returned)
	s.has("INBOX", id)
	s.has("Trash")
}

// So does an undo. stop 4: it has done everything, and dies before anybody hears so.
func TestAnUndoGoesOnWhereItWasCutOff(t *testing.T) {
	s := start(t, "delete", "keep")
	text := message(id)
	s.deliver(text, text, text)
	c := clawOf(t, text)
	died := errors.New("died")
	for stop := 1; stop <= 4; stop++ {
		took := s.claws(c, Moved)
		var plan []Copy
		notes := 0
		note := func(copies []Copy) error {
			if notes++; notes == stop {
				return died // the note was not written
			}
			plan = slices.Clone(copies)
			return nil
		}
		if _, err := s.GiveBack(context.Background(), c, took.Copies, note); (stop <= 3) != errors.Is(err, died) {
			t.Fatal(err)
		}
		if plan == nil {
			plan = took.Copies
		}
		r, err := s.GiveBack(context.Background(), c, plan, func([]Copy) error { return nil })
		if err != nil || r.Outcome != Returned || r.Detail != "" {
			t.Errorf("%d: %+v, %v", stop, r, err)
		}
		s.has("Trash")
		s.has("INBOX", id, id, id)
	}
}
