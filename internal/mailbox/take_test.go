package mailbox

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/emersion/go-imap/v2"
)

func TestAnUnreadMessageIsGoneAndNoOtherIs(t *testing.T) {
	s := start(t, "delete", "keep")
	s.deliver(message(other(1)), message(id), message(other(2)))
	s.takes(target(id), Retracted)
	s.has("INBOX", other(1), other(2))
	if len(s.planned) != 1 || s.planned[0].Outcome != Retracted {
		t.Errorf("planned: %+v", s.planned)
	}
	s.takes(target(id), NotFound)
}

func TestWhatItsUserHasSeenStays(t *testing.T) {
	for flag, why := range map[imap.Flag]string{imap.FlagSeen: "read", imap.FlagAnswered: "answered",
		imap.FlagForwarded: "forwarded", imap.FlagFlagged: "flagged"} {
		t.Run(why, func(t *testing.T) {
			s := start(t, "delete", "keep")
			s.deliver(message(id))
			s.flag("INBOX", id, flag)
			if r := s.takes(target(id), Read); !strings.HasPrefix(r.Detail, why) {
				t.Errorf("it says %q", r.Detail)
			}
			s.has("INBOX", id)
		})
	}
}

func TestWhatAFilterMovedIsFound(t *testing.T) {
	s := start(t, "delete", "keep")
	s.deliver(message(id))
	s.moves("INBOX", id, `Geschäft & "Kunden".Preise`)
	if r := s.takes(target(id), Retracted); strings.Contains(r.Detail, "Preise") || !strings.Contains(r.Folder, "Preise") {
		t.Errorf("the sender hears %q, our log %q", r.Detail, r.Folder)
	}
	s.has(`Geschäft & "Kunden".Preise`)
}

func TestInTheTrashItIsFoundAndSaid(t *testing.T) {
	s := start(t, "delete", "keep")
	s.deliver(message(id))
	s.moves("INBOX", id, "Trash")
	if r := s.takes(target(id), Retracted); !strings.Contains(r.Detail, "in the folder Trash") {
		t.Errorf("it says %q", r.Detail)
	}
	s.has("Trash")
}

func TestOfTwoCopiesTheWorstIsSaid(t *testing.T) {
	s := start(t, "delete", "keep")
	s.deliver(message(id))
	s.moves("INBOX", id, "Archive")
	s.flag("Archive", id, imap.FlagSeen)
	s.deliver(message(id), message(id))
	s.takes(target(id), Read)
	s.has("INBOX")
	s.has("Archive", id)
}

func TestAMessageThatIsNotTheOneIsNotTouched(t *testing.T) {
	s := start(t, "delete", "keep")
	liar := strings.Replace(message(id), "Anna <"+anna+">", "\""+anna+"\" <mallory@evil.test>", 1)
	older := strings.Replace(message(id), "24 Nov", "23 Nov", 1)
	twice := message(id, "Message-ID: <x@y>")
	s.deliver(message("<my-price-list@corp.test>"), message("<price-list@corp.test.example>"), liar, older, twice)
	copied := message(id) // anna's own copy, of a mail to anna: it has no trace
	a := s.Append("INBOX", int64(len(copied)), nil)
	a.Write([]byte(copied))
	a.Close()
	if _, err := a.Wait(); err != nil {
		t.Fatal(err)
	}
	for _, ours := range []string{id, "price-list", "<price-list@corp.test", ""} {
		s.takes(target(ours), NotFound)
	}
	if n := len(s.ids("INBOX")); n != 6 {
		t.Errorf("%d messages are left of 6", n)
	}
}

// Somebody has sent a message with the Message-ID, author and date of another's, and recalls it.
func TestOnlyTheMessageThatLeftTheHoldIsTaken(t *testing.T) {
	s := start(t, "delete", "keep")
	by := func(hold string) string {
		return "Received: from x (x [192.0.2.1])\r\n\tby gw.corp.test (Recall Milter) with ESMTPA id " + hold +
			".MAC; Tue, 24 Nov 2026 10:00:00 +0100\r\n"
	}
	s.deliver(message(id), by("32Z4VG5TXNUNZ")+message(id), by("32Z4VJ9P63DGN")+message(id, "Subject: mine"))
	mine := target(id)
	mine.Hold = "32Z4VJ9P63DGN"
	s.takes(mine, Retracted)
	s.has("INBOX", id, id)
	mine.Hold = "32Z4VJ9P63DG"
	s.takes(mine, NotFound)
}

func TestWhatItsUserMarkedDeletedIsNotExpunged(t *testing.T) {
	s := start(t, "delete", "keep")
	s.deliver(message(other(1)), message(id))
	s.flag("INBOX", other(1), imap.FlagDeleted)
	s.takes(target(id), Retracted)
	s.has("INBOX", other(1))
}

func TestHostileMessageIDs(t *testing.T) {
	s := start(t, "delete", "keep")
	long := "<" + strings.Repeat("a", 960) + "@corp.test>"
	ids := []string{`<"quo\"ted\\"@corp.test>`, "<{5}@corp.test>", "<a*b%c@corp.test>", "<(x)@[127.0.0.1]>", long,
		"<ümlaut@corp.test>"}
	for _, hostile := range ids {
		s.deliver(message(other(1)), message(hostile))
		s.takes(target(hostile), Retracted)
	}
	for _, hostile := range []string{"<a@b>\r\nx DELETE INBOX", "<a@b>\x00", "<" + strings.Repeat("a", 1000) + "@b>",
		"<\xff@b>"} {
		s.takes(target(hostile), NotFound)
	}
	if n := len(s.ids("INBOX")); n != len(ids) {
		t.Errorf("%d messages are left of %d", n, len(ids))
	}
}

func TestAFoldedMessageIDIsKnown(t *testing.T) {
	s := start(t, "delete", "keep")
	s.deliver(strings.Replace(message(id), "Message-ID: ", "Message-ID:\r\n ", 1))
	s.takes(target(id), Retracted)
}

func TestReplacedByANotice(t *testing.T) {
	s := start(t, "replace", "keep")
	s.deliver(message(other(1)), message(id))
	s.takes(target(id), Replaced)
	s.has("INBOX", other(1), noticeID(target(id)))
	s.takes(target(id), Replaced) // whoever asks again hears the same
	s.has("INBOX", other(1), noticeID(target(id)))
}

// The daemon dies after each step; the next try ends it, with one notice.
func TestDiedBetweenNoticeAndExpunge(t *testing.T) {
	s := start(t, "replace", "keep")
	s.deliver(message(id))
	box, err := s.open(context.Background(), bert)
	if err != nil {
		t.Fatal(err)
	}
	copies, _, err := box.find(target(id))
	if err != nil || len(copies) != 1 {
		t.Fatal(copies, err)
	}
	if _, err := box.selects("INBOX", false); err != nil {
		t.Fatal(err)
	}
	now, _, err := box.look(copies[0])
	if again, err2 := box.mark(copies[0], now); err != nil || err2 != nil || again {
		t.Fatal(err, err2, again)
	}
	if err := box.replace(target(id), copies[0]); err != nil {
		t.Fatal(err)
	}
	box.close()
	s.takes(target(id), Replaced)
	s.has("INBOX", noticeID(target(id)))
}

func TestMovedToAFolderOfThePolicy(t *testing.T) {
	s := start(t, "move:Recalled/Unread", "move:Recalled/Read")
	s.deliver(message(id), message(other(1)))
	s.flag("INBOX", other(1), imap.FlagSeen)
	s.takes(target(id), Moved)
	s.takes(target(other(1)), Read)
	s.has("INBOX")
	s.has("Recalled.Unread", id)
	s.has("Recalled.Read", other(1))
	s.takes(target(id), Moved) // once more: it is there already
	s.has("Recalled.Unread", id)
}

func TestADryRunChangesNothing(t *testing.T) {
	for _, policy := range []string{"delete", "replace", "move:Recalled"} {
		t.Run(policy, func(t *testing.T) {
			s := start(t, policy, "keep")
			settings := s.settings()
			settings.Policy.Unread, settings.DryRun = policy, true
			s.with(settings)
			s.deliver(message(id))
			if r := s.takes(target(id), Refused); !strings.HasPrefix(r.Detail, "dry run: would be ") {
				t.Errorf("it says %q", r.Detail)
			}
			s.has("INBOX", id)
		})
	}
}

// The user reads the message between our look and our mark.
func TestReadAtTheLastMoment(t *testing.T) {
	s := start(t, "delete", "keep")
	s.deliver(message(id))
	_, err := s.Retract(context.Background(), target(id),
		func(Result) error { s.flag("INBOX", id, imap.FlagSeen); return nil })
	if err != nil {
		t.Fatal(err)
	}
	s.has("INBOX", id)
	s.takes(target(id), Read)
}

// The user reads the message while it is being moved: no server has a MOVE that depends on flags, but they tell it
// later.
func TestReadWhileItIsMoved(t *testing.T) {
	s := start(t, "move:Recalled", "keep")
	s.deliver(message(id))
	settings := s.settings()
	settings.Policy.Unread, settings.Address = "move:Recalled", relay(t, s.box.IMAP, " MOVE ",
		func() { s.flag("INBOX", id, imap.FlagSeen) })
	s.with(settings)
	if r := s.takes(target(id), Read); r.Detail != "read at the last moment; moved by the policy" {
		t.Errorf("it says %q", r.Detail)
	}
	s.has("Recalled", id)
}

func TestAPlanThatCantBeKeptEndsTheTry(t *testing.T) {
	s := start(t, "delete", "keep")
	s.deliver(message(id))
	lost := errors.New("redis is away")
	if r, err := s.Retract(context.Background(), target(id), func(Result) error { return lost }); !errors.Is(err, lost) {
		t.Errorf("got %+v, %v", r, err)
	}
	s.has("INBOX", id)
}

func TestTheServerIsAwayAndComesBack(t *testing.T) {
	s := start(t, "delete", "keep")
	s.deliver(message(id))
	s.box.Stop()
	if r, err := s.Retract(context.Background(), target(id), nil); err == nil ||
		!strings.Contains(err.Error(), "can't be reached") {
		t.Errorf("got %+v, %v", r, err)
	}
	s.box.Start()
	s.takes(target(id), Retracted)
}

func TestAWrongPasswordIsSaid(t *testing.T) {
	s := start(t, "delete", "keep")
	s.deliver(message(id))
	wrong := s.settings()
	wrong.PasswordFile = filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(wrong.PasswordFile, []byte("wrong\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.with(wrong)
	_, err := s.Retract(context.Background(), target(id), nil)
	if !errors.Is(err, ErrLogin) || !strings.Contains(err.Error(), wrong.PasswordFile) ||
		strings.Contains(err.Error(), "wrong\n") {
		t.Errorf("it says %v", err)
	}
	if _, err := s.Check(context.Background(), bert); !errors.Is(err, ErrLogin) {
		t.Errorf("the check says %v", err)
	}
	if _, err := s.Check(context.Background(), ""); err != nil {
		t.Errorf("without a login the check says %v", err)
	}
	s.has("INBOX", id)
}

func TestNobodyElsesMailboxIsOpened(t *testing.T) {
	s := start(t, "delete", "keep")
	s.deliver(message(id))
	for _, login := range []string{bert + "*" + s.box.Master, "", "a\r\nb", strings.Repeat("b", 400) + "@far.test"} {
		forged := target(id)
		forged.Recipient = login
		s.takes(forged, NotFound)
	}
	s.has("INBOX", id)
}

// The policy may take away what was read as well; the asker still hears that it was read.
func TestWhatWasReadIsRemovedWhereThePolicySaysSo(t *testing.T) {
	s := start(t, "delete", "delete")
	s.deliver(message(other(1)), message(id))
	s.flag("INBOX", id, imap.FlagSeen)
	if r := s.takes(target(id), Read); !strings.Contains(r.Detail, "removed by the policy") {
		t.Errorf("it says %q", r.Detail)
	}
	s.has("INBOX", other(1))
}
