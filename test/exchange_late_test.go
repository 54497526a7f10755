package test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/recall-milter/recall-milter/test/server"
)

const laterNews = "There is an update on your recall"

// reports are what anna was told of a recall after the release, oldest first, without what follows the texts for
// people.
func (o *organisation) reports() (all []string) {
	for _, d := range o.sink.Got() {
		if strings.Contains(strings.Join(d.Rcpt, " "), "<anna@") &&
			bytes.Contains(d.Data, []byte("\r\nSubject: What became of your recall")) {
			text, _, _ := strings.Cut(string(d.Data), "Content-Type: message/recall-status")
			all = append(all, text)
		}
	}
	return all
}

// reported waits until anna has had so many reports, and returns the last.
func (o *organisation) reported(n int) string {
	o.t.Helper()
	server.Eventually(o.t, "anna has another report", func() bool { return len(o.reports()) >= n })
	all := o.reports()
	if len(all) != n || strings.Contains(all[n-1], laterNews) != (n > 1) {
		o.t.Fatalf("%d reports, want %d:\n%s", len(all), n, all)
	}
	return all[n-1]
}

// says fails for each text that a report lacks.
func (o *organisation) says(report string, texts ...string) {
	o.t.Helper()
	for _, want := range texts {
		if !strings.Contains(report, want) {
			o.t.Errorf("the report lacks %q:\n%s", want, report)
		}
	}
}

// One gateway can't reach its mailboxes until the report has gone out, and the other domain has no gateway like ours.
func TestTheReportWaitsForNoAnswerLongerThanAllowedAndLateNewsFollow(t *testing.T) {
	t.Parallel()
	w := (&world{within: "3s"}).start(t, true)
	w.delivered("third@corp.test", "bert@far.test")
	w.sent("silence@corp.test", "bert@far.test", "carl@mute.test")
	server.Eventually(t, "bert has both", func() bool { return len(w.far.folder("bert@far.test", "INBOX")) == 2 })
	w.far.boxes.Stop()
	w.asks("silence@corp.test")
	w.corp.says(w.corp.reported(1), "<bert@far.test>\r\n      sent, and nothing is known: no answer from its gateway",
		"<carl@mute.test>\r\n      sent, and nothing is known: no answer from its gateway")
	w.far.boxes.Start()
	w.corp.result("silence@corp.test", "bert@far.test", "retracted")
	w.corp.says(w.corp.reported(2), "<bert@far.test>\r\n      retracted: taken out of the mailbox, unread",
		"<carl@mute.test>\r\n      sent, and nothing is known: no answer from its gateway")
	w.asks("third@corp.test") // a recall of its own has a first report of its own
	server.Eventually(t, "it is reported", func() bool { return len(w.corp.reports()) == 3 })
	w.corp.says(w.corp.reports()[2], "<bert@far.test>\r\n      retracted: taken out of the mailbox, unread")
}

// A list's members get the request when anna's report has gone out.
func TestWhatMembersOfAListSayLaterIsReported(t *testing.T) {
	t.Parallel()
	w := (&world{within: "2s"}).start(t, true, "[inbound.recall]\nrequire = [\"cancel_key\"]")
	w.sent("listed@corp.test", "all@lists.test")
	w.corp.must(w.list("body of listed@corp.test"))
	server.Eventually(t, "bert has it", func() bool { return len(w.far.folder("bert@far.test", "INBOX")) == 1 })
	w.asks("listed@corp.test")
	w.corp.says(w.corp.reported(1), "<all@lists.test>\r\n      sent, and nothing is known: no answer from its gateway")
	w.corp.must(w.list("message/recall-request"))
	w.corp.says(w.corp.reported(2), "<all@lists.test>\r\n      sent, and nothing is known: no answer from its gateway",
		"<bert@far.test>\r\n      taken out of the mailbox, unread, says its own gateway")
	if n := w.corp.redis.Do("ZCARD recall:{mh0}:jobs"); n != ":0\r\n" {
		t.Errorf("something is still to be done: %q", n)
	}
}

// The message waits in the other side's queue while its recall is carried out, and is told from one that is gone.
func TestARecallThatOvertakesItsMessageWaitsForIt(t *testing.T) {
	t.Parallel()
	w := startWorld(t, true)
	w.lmtp.To("")
	w.sent("slow@corp.test", "bert@far.test")
	w.asks("slow@corp.test")
	w.corp.result("slow@corp.test", "bert@far.test", "unknown")
	w.lmtp.To(w.far.boxes.LMTP)
	w.far.postfix.Flush() // qmgr has left such a message alone that was still locked when it came to it again
	w.corp.result("slow@corp.test", "bert@far.test", "retracted")
	if got := w.far.folder("bert@far.test", "INBOX"); len(got) > 0 {
		t.Errorf("bert has %q", got)
	}
}
