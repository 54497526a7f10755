package mailbox

import (
	"strings"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/policy"
)

// Whoever sends a message to one mailbox many times, or with a Message-ID that searches read in another way, does not
// evade a claw back.
func TestNobodyEvadesAClawBack(t *testing.T) {
	s := start(t, "delete", "keep")
	for n, id := range []string{"<a  b@evil.test>", "<a\r\n\t b@evil.test>", "<=?utf-8?q?abc?=@evil.test>",
		"bare@evil.test", `<"a b"@evil.test>`, "<comment@evil.test> (of it)",
		"<=?utf-8?q?a?= =?x?q?b?=@evil.test>", "<=?utf-8?q?all=40evil.test?=>", "<\xe9t\xe9@evil.test>", "<été@evil.test>"} {
		text := message(id)
		s.deliver(text)
		c := clawOf(t, text)
		c.MessageID = string([]rune(policy.MessageID(id))) // as the store has it
		if r := s.claws(c, Moved); r.Detail != "unread" {
			t.Errorf("%d: %q: %+v", n, id, r)
		}
	}
	text := message(id)
	s.deliver(strings.Split(strings.Repeat(text+"\x00", maxCopies+2)+text, "\x00")...)
	s.deliver(strings.Replace(text, "the prices", "other prices", 1))
	c := clawOf(t, text)
	r := s.claws(c, Moved)
	if want := maxCopies + 3; r.Others != 1 || len(r.Copies) != want {
		t.Errorf("%d copies of %d, %s", len(r.Copies), want, r.Detail)
	}
	s.has("INBOX", id)
}

// The owner of the mailbox reads when the message came in as the site's clock shows it.
func TestANoticeHasTheTimeOfTheSitesClock(t *testing.T) {
	notice, err := readNotice("")
	if err != nil {
		t.Fatal(err)
	}
	b := &IMAP{notice: notice, p: Policy{Clock: func(t time.Time) time.Time { return t.In(time.FixedZone("NPT", 20700)) }}}
	text, err := b.writeNotice(Target{Recipient: bert, MessageID: id, From: anna,
		Received: time.Date(2026, 11, 30, 20, 0, 0, 0, time.UTC)})
	if err != nil || !strings.Contains(string(text), "1 December 2026, 01:45 NPT") {
		t.Errorf("%v\n%s", err, text)
	}
}

// Words in place of a name are not told in a notice.
func TestANoticeHasNoWordsOfTheAuthor(t *testing.T) {
	notice, err := readNotice("")
	if err != nil {
		t.Fatal(err)
	}
	b := &IMAP{notice: notice}
	for from, want := range map[string]string{anna: "from " + anna,
		"call 0900 666@evil.test": "from an author at evil.test"} {
		text, err := b.writeNotice(Target{Recipient: bert, MessageID: id, From: from})
		if err != nil || !strings.Contains(string(text), want) || strings.Contains(string(text), "666") {
			t.Errorf("%q: %v\n%s", from, err, text)
		}
	}
}
