package test

import (
	"bytes"
	"net/smtp"
	"net/textproto"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/recall-milter/recall-milter/test/outlook"
	"github.com/recall-milter/recall-milter/test/server"
)

// deletesByPOP fetches and deletes all mail of a user, as a POP program does.
func (o *organisation) deletesByPOP(user string) {
	o.t.Helper()
	c, err := textproto.Dial("tcp", o.boxes.POP3)
	o.must(err)
	defer c.Close()
	for _, line := range []string{"", "USER " + user, "PASS " + server.Password, "RETR 1", "DELE 1", "QUIT"} {
		if line != "" {
			o.must(c.PrintfLine("%s", line))
		}
		answer, err := c.ReadLine()
		if err != nil || !strings.HasPrefix(answer, "+OK") {
			o.t.Fatalf("%s: %q, %v", line, answer, err)
		}
		if strings.HasPrefix(line, "RETR") {
			c.ReadDotBytes()
		}
	}
}

func TestWhatWasFetchedByPOPIsNotFound(t *testing.T) {
	t.Parallel()
	w := startWorld(t, true)
	w.delivered("pop@corp.test", "bert@far.test")
	w.far.deletesByPOP("bert@far.test")
	w.asks("pop@corp.test")
	w.corp.result("pop@corp.test", "bert@far.test", "unknown")
	w.far.said("outcome=not-found")
	if report := w.corp.report("anna", "What became of your recall: the price list"); !strings.Contains(report,
		"Outcome: not-found") {
		t.Errorf("the report:\n%s", report)
	}
}

// list waits until a mail that has some text comes to the list, and sends it on as lists do: with a prefix in Subject,
// a footer, and an envelope of its own. Its signature is broken then.
func (w *world) list(text string, edit ...string) error {
	w.corp.t.Helper()
	var came []byte
	server.Eventually(w.corp.t, "the list gets "+text, func() bool {
		for _, d := range w.corp.sink.Got() {
			if strings.Contains(strings.Join(d.Rcpt, " "), "all@lists.test") && bytes.Contains(d.Data, []byte(text)) {
				came = d.Data
			}
		}
		return came != nil
	})
	mail := strings.Replace(string(came), "\r\nSubject: ", "\r\nSubject: [all] ", 1) +
		"-- \r\nThis is the list all@lists.test\r\n"
	mail = strings.NewReplacer(edit...).Replace(mail)
	if !strings.Contains(mail, "DKIM-Signature") || verified(mail, w.corp.signer) == nil {
		w.corp.t.Fatalf("the signature is not broken:\n%s", mail)
	}
	return smtp.SendMail(w.far.mta.smtp, nil, "all-bounces@lists.test", []string{"bert@far.test"},
		[]byte("List-Id: <all.lists.test>\r\n"+mail))
}

func TestTheCancelKeyProvesARecallThatCameThroughAList(t *testing.T) {
	t.Parallel()
	w := startWorld(t, true, "[inbound.recall]\nrequire = [\"cancel_key\"]")
	w.sent("listed@corp.test", "all@lists.test")
	w.corp.must(w.list("body of listed@corp.test"))
	server.Eventually(t, "bert has it", func() bool { return len(w.far.folder("bert@far.test", "INBOX")) == 1 })
	w.asks("listed@corp.test")
	w.corp.must(w.list("message/recall-request", "Cancel-Key: sha256:", "Cancel-Key: sha256:AAAA", "Message-ID: <recall.",
		"Message-ID: <recall.2",
		"Request-Id: ", "Request-Id: 2"))
	w.far.said("verdict=fail, reason=no Cancel-Key that opens the message's Cancel-Lock")
	has := func() bool { return slices.Contains(w.far.folder("bert@far.test", "INBOX"), "listed@corp.test") }
	if !has() {
		t.Error("another key takes it out")
	}
	w.corp.must(w.list("message/recall-request"))
	server.Eventually(t, "bert has it no more", func() bool { return !has() })
	w.far.said("verdict=pass, reason=cancel-key, target=<listed@corp.test>")
	// far.test was not asked, but speaks for its own users; of the list nothing is known.
	server.Eventually(t, "anna's side knows of bert", func() bool {
		shown, _ := w.corp.ctl("--json", "show", "listed@corp.test")
		if strings.Contains(shown, `"result":"retracted"`) {
			t.Fatalf("the list has got rid of it:\n%s", shown)
		}
		return strings.Contains(shown, `"verb":"passed on","by":"bert@far.test","detail":"taken out of the mailbox, unread`)
	})
}

func TestAListDoesNotProveARecallWhereAlignmentIsRequired(t *testing.T) {
	t.Parallel()
	w := startWorld(t, true)
	w.sent("listed@corp.test", "all@lists.test")
	w.corp.must(w.list("body of listed@corp.test"))
	server.Eventually(t, "bert has it", func() bool { return len(w.far.folder("bert@far.test", "INBOX")) == 1 })
	w.asks("listed@corp.test")
	w.corp.must(w.list("message/recall-request")) // tagged: a list counts refusals as bounces of its subscriber
	w.far.said("verdict=fail, reason=sender not authenticated")
	server.Eventually(t, "bert has both", func() bool { return len(w.far.folder("bert@far.test", "INBOX")) == 2 })
	if got := w.far.folder("bert@far.test", "INBOX"); !slices.Contains(got, "listed@corp.test") {
		t.Errorf("bert has %q", got)
	}
}

// Anna's own site has no gateway like ours: Outlook recalls, and bert's mailbox obeys.
func TestOutlooksRecallsEmptyTheMailbox(t *testing.T) {
	t.Parallel()
	w := (&world{signing: []string{"SignHeaders *,+content-type"}}).start(t, true)
	r := outlook.Recall{From: "anna@corp.test", To: "bert@far.test", Subject: "the price list", Prefix: "Recall:"}
	for form, mail := range map[string]string{"outlook": r.FormA(), "exchange": r.FormB(), "cloud": r.FormC()} {
		id := form + "@corp.test"
		w.delivered(id, "bert@far.test")
		w.corp.must(w.corp.signedFrom("anna@corp.test", "bert@far.test", fresh(mail)))
		server.Eventually(t, form+" takes it out", func() bool { return len(w.far.folder("bert@far.test", "INBOX")) == 0 })
		w.far.said("form=" + form + ", domain=corp.test, rule=default, verdict=pass, reason=aligned, target=<" + id + ">")
		server.Eventually(t, "anna hears of it", func() bool {
			for _, d := range w.corp.sink.Got() {
				if text := string(d.Data); strings.Contains(text, "Original-Message-ID: <"+id+">") &&
					strings.Contains(text, "Outcome: retracted") {
					return true
				}
			}
			return false
		})
	}
}

// The other side's MTA gets the mails for four recipients in pieces of two.
func TestWhatAnMTASplitsIsRecalledFromAll(t *testing.T) {
	t.Parallel()
	w := (&world{signing: []string{"SignHeaders *,+content-type", "SubDomains yes"},
		mta: []string{"default_destination_recipient_limit = 2"}}).start(t, true)
	all := []string{"bert@far.test", "carl@far.test", "dora@far.test", "emil@sub.far.test"}
	w.delivered("split@corp.test", all...)
	w.asks("split@corp.test")
	for _, to := range all {
		w.corp.result("split@corp.test", to, "retracted")
	}
	if n := w.far.judged("form=request, domain=corp.test, rule=default, verdict=pass"); n != 3 {
		t.Errorf("the requests, one for two recipients too many, came in by %d transactions", n)
	}
	if report := w.corp.report("anna", "What became of your recall: the price list"); strings.Count(report,
		"Outcome: retracted") != len(all) {
		t.Errorf("the report:\n%s", report)
	}
	three := all[:3]
	w.delivered("outlook@corp.test", three...)
	r := outlook.Recall{From: "anna@corp.test", To: strings.Join(three, ", "), Subject: "the price list",
		Prefix: "Recall:"}
	w.corp.must(smtp.SendMail(w.corp.postfix.Own, nil, "anna@corp.test", three, []byte(fresh(r.FormA()))))
	for _, to := range three {
		server.Eventually(t, to+" has it no more", func() bool { return len(w.far.folder(to, "INBOX")) == 0 })
	}
	if n := w.far.judged("form=outlook, domain=corp.test, rule=default, verdict=pass"); n != 2 {
		t.Errorf("Outlook's recall came in by %d transactions", n)
	}
}

// judged counts the lines of the daemon's log that have a text.
func (o *organisation) judged(text string) int {
	o.t.Helper()
	log, err := os.ReadFile(o.log)
	o.must(err)
	return strings.Count(string(log), text)
}
