package retraction

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/mark"
	"github.com/recall-milter/recall-milter/internal/post"
	"github.com/recall-milter/recall-milter/internal/protocol"
)

// Anna's message went to a list, and to bert. The list has passed the request on to everybody behind it, so its ID is
// known to strangers: each may speak for its own users, and for nobody else.
func TestWhoGotARequestThroughAListSpeaksForItsOwnUsersOnly(t *testing.T) {
	store, post := site(t)
	id := asked(t, store, "all@lists.test", "bert@far.test",
		holdstore.Request{RequestID: "LIST", Domain: "lists.test", Recipients: []int{0}},
		holdstore.Request{RequestID: "BERT", Domain: "far.test", Recipients: []int{1}})
	x := New(store, post, nil, mark.New([]byte("secret")), &notes{}, Options{Keep: time.Hour})
	for _, c := range []struct {
		request, domain, recipient, outcome string
		refused                             bool
		list, bert                          holdstore.Outcome // afterwards
		noted                               int
	}{
		{"LIST", "evil.test", "all@lists.test", "retracted", true, "requested", "requested", 0},
		{"LIST", "evil.test", "bert@far.test", "retracted", true, "requested", "requested", 0},
		{"BERT", "evil.test", "bert@far.test", "retracted", true, "requested", "requested", 0},
		{"LIST", "far.test", "all@lists.test", "retracted", true, "requested", "requested", 0},
		{"LIST", "evil.test", "x@sub.evil.test", "retracted", true, "requested", "requested", 0},
		{"LIST", "evil.test", strings.Repeat("x", 400) + "@evil.test", "retracted", true, "requested", "requested", 0},
		{"LIST", "member.test", "dora@member.test", "retracted", false, "requested", "requested", 1},
		{"LIST", "member.test", "dora@member.test", "retracted", false, "requested", "requested", 1}, // again
		{"LIST", "member.test", "emil@MEMBER.test", "already-read", false, "requested", "requested", 2},
		// the request to that recipient is the one that counts
		{"LIST", "far.test", "bert@far.test", "not-found", false, "requested", "requested", 2},
		{"LIST", "far.test", "bert@far.test", "retracted", false, "requested", "retracted", 2}, // but it finds nothing now
		{"BERT", "far.test", "bert@far.test", "not-found", false, "requested", "retracted", 2},
		{"BERT", "far.test", "all@lists.test", "retracted", true, "requested", "retracted", 2},
	} {
		s := protocol.Status{RequestID: c.request,
			Recipients: []protocol.StatusOf{{Address: c.recipient, Outcome: c.outcome}}}
		err := does(t, func() error { return x.AcceptStatus(t.Context(), s, c.domain) })
		if errors.Is(err, ErrUnasked) != c.refused || err != nil && !c.refused {
			t.Errorf("%v: %v", c, err)
		}
		h := get(t, store, id)
		if h.Results[0].Outcome != c.list || h.Results[1].Outcome != c.bert || passed(h) != c.noted {
			t.Errorf("%v: %+v, %d noted", c, h.Results, passed(h))
		}
	}
	must(t, func() error { return x.report(t.Context(), id, false) })
	report := strings.Join(waiting(t, store), "")
	for _, want := range []string{"<all@lists.test>\r\n      sent, and nothing is known: no answer from its gateway",
		"<dora@member.test>\r\n      taken out of the mailbox, unread, says its own gateway",
		"<emil@MEMBER.test>\r\n      read already, and so it stays, says",
		"Final-Recipient: rfc822; all@lists.test\r\nOutcome: not-found"} {
		if !strings.Contains(report, want) {
			t.Errorf("the report lacks %q:\n%s", want, report)
		}
	}
	for n := range 2 * maxPassedOn {
		s := protocol.Status{RequestID: "LIST", Recipients: []protocol.StatusOf{{Address: fmt.Sprintf("u%d@evil.test", n),
			Outcome: "retracted", Diagnostic: strings.Repeat("ä", 400)}}}
		must(t, func() error { return x.AcceptStatus(t.Context(), s, "evil.test") })
	}
	if h := get(t, store, id); passed(h) != maxPassedOn || strings.Contains(fmt.Sprint(h.Timeline), "ä") ||
		h.Timeline[0].Verb != "held" {
		t.Errorf("%d noted", passed(h))
	}
}

// A line of the timeline that only looks like one of those, as whoever writes to Redis can make it, is told to nobody.
func TestNobodyElsesWordsComeIntoAReport(t *testing.T) {
	store, post := site(t)
	id := asked(t, store, "all@lists.test", "bert@far.test",
		holdstore.Request{RequestID: "LIST", Domain: "lists.test", Recipients: []int{0}})
	x := New(store, post, nil, mark.New([]byte("secret")), &notes{}, Options{Keep: time.Hour})
	words := holdstore.Event{Verb: "passed on", By: "carl@far.test", Detail: "call this number"}
	must(t, func() error { return store.Note(t.Context(), id, words) })
	must(t, func() error { return x.report(t.Context(), id, false) })
	if mails := waiting(t, store); len(mails) != 1 || strings.Contains(mails[0], words.Detail) {
		t.Errorf("the sender reads\n%s", mails)
	}
}

func get(t *testing.T, s *holdstore.Store, id string) (h *holdstore.Hold) {
	t.Helper()
	must(t, func() (err error) { h, err = s.Get(t.Context(), id); return err })
	return h
}

func passed(h *holdstore.Hold) (n int) {
	for _, e := range h.Timeline {
		if e.Verb == post.PassedOn {
			n++
		}
	}
	return n
}
