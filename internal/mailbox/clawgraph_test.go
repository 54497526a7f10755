package mailbox

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestGraphClawsBackAndGivesBackWhatIsMeant(t *testing.T) {
	x := startExchange(t)
	text := message(id)
	other := x.deliver("inbox", strings.Replace(text, "Subject: the", "Subject: The", 1))
	liar := x.deliver("inbox", strings.Replace(text, anna, "mallory@evil.test", 1))
	own := x.deliver("inbox", text)
	own.headers = own.headers[1:] // it never came by mail
	unread, read, binned := x.deliver("inbox", text), x.deliver("junkemail", text), x.deliver("deleteditems", text)
	read.read = true
	c, g := clawOf(t, text), x.way(t, unreadOnly)
	c.Print.Body = "Graph shows no body as it came"
	var plan []Copy
	died := errors.New("died")
	note := func(copies []Copy) error { plan = slices.Clone(copies); return died }
	if _, err := g.ClawBack(t.Context(), c, nil, note); !errors.Is(err, died) {
		t.Fatal(err)
	}
	keep := func([]Copy) error { return nil }
	r, err := g.ClawBack(t.Context(), c, plan, keep)
	if err != nil || r.Outcome != Moved || r.Others != 2 || r.Detail != "2 copies, 1 of them unread" {
		t.Fatalf("%+v, %v\n%s", r, err, strings.Join(x.calls, "\n"))
	}
	where := func(wanted string) {
		t.Helper()
		got := []string{x.where(unread), x.where(read), x.where(binned), x.where(other), x.where(liar), x.where(own)}
		if strings.Join(got, ",") != wanted {
			t.Errorf("they are in %q, want %q", got, wanted)
		}
	}
	where("Deleted Items,Deleted Items,Deleted Items,Inbox,Inbox,Inbox")
	if again, err := g.ClawBack(t.Context(), c, r.Copies, keep); err != nil || again.Outcome != Moved {
		t.Errorf("again: %+v, %v", again, err)
	}
	if back, err := g.GiveBack(t.Context(), c, r.Copies, keep); err != nil || back.Outcome != Returned {
		t.Errorf("%+v, %v", back, err)
	}
	where("Inbox,Junk Email,Deleted Items,Inbox,Inbox,Inbox")
	if unread.read || !read.read {
		t.Error("they are not read as they were")
	}
	r, err = g.ClawBack(t.Context(), c, nil, keep)
	if err != nil || r.Outcome != Moved {
		t.Fatalf("%+v, %v", r, err)
	}
	read.folder = "junkemail" // its user has taken it out of there: it stays where they put it
	unread.folder = "archive"
	if back, err := g.GiveBack(t.Context(), c, r.Copies, keep); err != nil || back.Outcome != Returned ||
		unread.folder != "archive" {
		t.Errorf("%+v, %v; one is in %s", back, err, unread.folder)
	}
	unread.folder = "inbox"
	c.DryRun = true
	if r, err := g.ClawBack(t.Context(), c, nil, keep); err != nil || r.Outcome != Moved {
		t.Errorf("%+v, %v", r, err)
	}
	where("Inbox,Junk Email,Deleted Items,Inbox,Inbox,Inbox")
	c.DryRun, c.Delete = false, true
	if r, err := g.ClawBack(t.Context(), c, nil, keep); err != nil || r.Outcome != Removed ||
		len(x.boxes[bert].removed) != 3 {
		t.Errorf("%+v, %v, removed %q", r, err, x.boxes[bert].removed)
	}
	where(",,,Inbox,Inbox,Inbox")
	c.Recipient = "nobody@far.test"
	if r, err := g.ClawBack(t.Context(), c, nil, keep); err != nil || r.Outcome != NotFound || r.Detail == "" {
		t.Errorf("%+v, %v", r, err)
	}
}
