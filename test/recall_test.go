package test

import (
	"fmt"
	"net/smtp"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/recall-milter/recall-milter/test/outlook"
	"github.com/recall-milter/recall-milter/test/server"
)

const recallAddress = "recall@corp.test"

// startOffice starts a gateway whose users log in as anna, bert and the assistant; settings are further config lines.
func startOffice(t *testing.T, grace string, settings ...string) *gateway {
	t.Helper()
	return offices["Postfix"].office(t, grace, settings...)
}

// eachOffice runs a test in an office with Postfix and in one with Sendmail.
func eachOffice(t *testing.T, test func(t *testing.T, k kind)) { eachOf(t, offices, test) }

func (k kind) office(t *testing.T, grace string, settings ...string) *gateway {
	t.Helper()
	g := k.gateway(t, grace)
	g.configure("[recall]\naddresses = [\"" + recallAddress + "\"]\n" + strings.Join(settings, "\n") + "\n")
	return g
}

// configure adds lines to the config and starts the daemon again.
func (g *gateway) configure(lines string) {
	g.t.Helper()
	text, err := os.ReadFile(g.conf)
	if err == nil {
		err = os.WriteFile(g.conf, append(text, lines...), 0o600)
	}
	if err != nil {
		g.t.Fatal(err)
	}
	g.killDaemon()
	g.startDaemon()
}

// submit sends a message with a login ("" for none) and returns Postfix's refusal.
func (g *gateway) submit(login string, to []string, header, body string) error {
	var auth smtp.Auth
	from := login + "@corp.test"
	if login != "" {
		auth = smtp.PlainAuth("", login, server.Password, "127.0.0.1")
	} else {
		from = "anna@corp.test"
	}
	text := "From: " + from + "\r\nTo: " + strings.Join(to, ", ") + "\r\nDate: Tue, 24 Nov 2026 09:00:00 +0000\r\n" +
		header + "\r\n" + body
	return smtp.SendMail(g.mta.smtp, auth, from, to, []byte(text))
}

func (g *gateway) mustSubmit(login string, to []string, header, body string) {
	g.t.Helper()
	g.submitted("mail of "+login, func() error { return g.submit(login, to, header, body) })
}

// message is what one of the tests' users writes.
func (g *gateway) message(login, id string, to ...string) {
	g.t.Helper()
	if len(to) == 0 {
		to = []string{"b@x.test"}
	}
	g.mustSubmit(login, to, "Subject: the price list\r\nMessage-ID: <"+id+">\r\n", "body of "+id+"\r\n")
}

var commands atomic.Int64 // no two have the same Message-ID

// command writes to the recall address.
func (g *gateway) command(login, header, body string) {
	g.t.Helper()
	g.mustSubmit(login, []string{recallAddress},
		header+fmt.Sprintf("Message-ID: <command.%d@corp.test>\r\n", commands.Add(1)), body)
}

// report waits for the next answer to a user whose subject begins so, and returns it.
func (g *gateway) report(login, subject string) string {
	g.t.Helper()
	var text string
	server.Eventually(g.t, "a report \""+subject+"\" to "+login, func() bool {
		for _, d := range g.sink.Got() {
			if strings.Contains(strings.Join(d.Rcpt, " "), "<"+login+"@") &&
				strings.Contains(string(d.Data), "\r\nSubject: "+subject) {
				text = string(d.Data)
			}
		}
		return text != ""
	})
	return text
}

// state returns the state of a message.
func (g *gateway) state(id string) string {
	g.t.Helper()
	out, _ := g.ctl("--json", "show", id)
	_, rest, _ := strings.Cut(out, `"state":"`)
	state, _, _ := strings.Cut(rest, `"`)
	return state
}

func TestTheSenderRecallsByMailAndGetsAnAnswer(t *testing.T) {
	eachOffice(t, func(t *testing.T, k kind) {
		g := k.office(t, "1h")
		for name, subject := range map[string]string{"message-id": "RECALL Message-ID: <message-id@corp.test>",
			"bare": "Re: recall <bare@corp.test>"} {
			g.message("anna", name+"@corp.test")
			g.command("anna", "Subject: "+subject+"\r\n", "")
			if got := g.state(name + "@corp.test"); got != "recalled" {
				t.Errorf("%s: the message is %q", subject, got)
			}
		}
		text := g.report("anna", "Recalled: the price list")
		for _, want := range []string{"Nobody below will ever see it", "<b@x.test>", "Auto-Submitted: auto-replied",
			"report-type=recall-status",
			"Content-Type: message/recall-status", "Final-Recipient: rfc822; b@x.test", "Outcome: recalled"} {
			if !strings.Contains(text, want) {
				t.Errorf("the report lacks %q:\n%s", want, text)
			}
		}
		for _, d := range g.sink.Got() {
			if strings.Contains(strings.Join(d.Rcpt, ""), "x.test") ||
				strings.Contains(strings.Join(d.Rcpt, ""), recallAddress) {
				t.Errorf("sent to %v:\n%s", d.Rcpt, d.Data)
			}
			if strings.Contains(d.Mail, "@") {
				t.Errorf("a report with the sender %s", d.Mail)
			}
		}
	})
}

func TestRepliesForwardsAndTheLastMessage(t *testing.T) {
	eachOffice(t, func(t *testing.T, k kind) {
		g := k.office(t, "1h")
		g.message("anna", "reply@corp.test")
		g.command("anna", "Subject: Re: the price list\r\nIn-Reply-To: <reply@corp.test>\r\n", "take it back\r\n")
		g.message("anna", "forward@corp.test")
		g.command("anna", "Subject: Fwd: the price list\r\nMIME-Version: 1.0\r\nContent-Type: message/rfc822\r\n",
			"Subject: the price list\r\nMessage-ID: <forward@corp.test>\r\n\r\nbody\r\n")
		g.message("anna", "stays@corp.test")
		g.message("anna", "last@corp.test")
		g.command("anna", "Subject: recall last\r\n", "")
		for id, want := range map[string]string{"reply": "recalled", "forward": "recalled", "last": "recalled",
			"stays": "held"} {
			if got := g.state(id + "@corp.test"); got != want {
				t.Errorf("%s is %s, want %s", id, got, want)
			}
		}
		g.command("anna", "Subject: what now?\r\n", "")
		if text := g.report("anna", "How to recall"); !strings.Contains(text, "the price list") ||
			!strings.Contains(text, "leaves") {
			t.Errorf("the help:\n%s", text)
		}
	})
}

func TestAnotherLoginIsRefusedWhateverItForges(t *testing.T) {
	eachOffice(t, func(t *testing.T, k kind) {
		g := k.office(t, "1h")
		g.message("anna", "hers@corp.test")
		g.command("bert", "Subject: RECALL <hers@corp.test>\r\nSender: anna@corp.test\r\nX-Recall-Policy: pass\r\n", "")
		g.report("bert", "Recall refused")
		if got := g.state("hers@corp.test"); got != "held" {
			t.Errorf("it is %s", got)
		}
		if out, _ := g.ctl("log"); !strings.Contains(out, "recall refused") || !strings.Contains(out, "login bert") {
			t.Errorf("the audit trail:\n%s", out)
		}
		for _, field := range []string{"Auto-Submitted: auto-replied\r\n", "List-Id: <l.corp.test>\r\n"} {
			if err := g.submit("anna", []string{recallAddress}, field+"Subject: RECALL <hers@corp.test>\r\n", ""); err == nil ||
				!strings.HasPrefix(err.Error(), "550") {
				t.Errorf("%s was answered %v", field, err)
			}
		}
	})
}

func TestCommandsBeyondTheRateAreRefused(t *testing.T) {
	eachOffice(t, func(t *testing.T, k kind) {
		g := k.office(t, "1h", `rate = "3/h"`)
		taken, err := 0, error(nil)
		for ; err == nil; taken++ {
			err = g.submit("anna", []string{recallAddress}, "Subject: RECALL LAST\r\n", "")
		}
		if taken--; taken < 3 || taken > 6 || !strings.HasPrefix(err.Error(), "550") { // the hour may end meanwhile
			t.Errorf("after %d commands: %v", taken, err)
		}
	})
}

func TestOutlooksRecallTakesBackAndIsSwallowed(t *testing.T) {
	eachOffice(t, func(t *testing.T, k kind) {
		g := k.office(t, "1h")
		for form, mail := range map[string]func(outlook.Recall) string{"A": outlook.Recall.FormA, "B": outlook.Recall.FormB} {
			r := outlook.Recall{From: "anna@corp.test", To: "b@x.test", Subject: "价格表 " + form, Prefix: "撤回:", Charset: "gb2312"}
			id := "original" + form + "@corp.test"
			g.mustSubmit("anna", []string{"b@x.test", "c@x.test"}, "Subject: "+r.SubjectField()+"\r\nMessage-ID: <"+id+">\r\n",
				"body\r\n")
			g.raw("anna", mail(r), "b@x.test")
			out, _ := g.ctl("--json", "show", id)
			if !strings.Contains(out, `"address":"b@x.test","result":"recalled"`) ||
				!strings.Contains(out, `"address":"c@x.test","result":"pending"`) {
				t.Errorf("form %s: %s", form, out)
			}
			other := r
			other.Subject = "other"
			g.raw("anna", mail(other), "b@x.test")
		}
		if out, _ := g.ctl("--json", "list", "--recipient", "b@x.test", "--subject", "*other*"); strings.Count(out,
			"\n") != 2 {
			t.Errorf("recalls without a match must go on as mail: %s", out)
		}
		g.report("anna", "Nothing was recalled")
	})
}

// raw submits a whole mail.
func (g *gateway) raw(login, text string, to ...string) {
	g.t.Helper()
	auth := smtp.PlainAuth("", login, server.Password, "127.0.0.1")
	g.submitted("mail of "+login,
		func() error { return smtp.SendMail(g.mta.smtp, auth, login+"@corp.test", to, []byte(text)) })
}

func TestACorrectedMessageReplacesTheHeldOne(t *testing.T) {
	eachOffice(t, func(t *testing.T, k kind) {
		g := k.office(t, "1h")
		g.message("anna", "wrong@corp.test")
		g.mustSubmit("anna", []string{"b@x.test"},
			"Subject: the price list\r\nSupersedes: <wrong@corp.test>\r\nMessage-ID: <right@corp.test>\r\n", "body of right\r\n")
		g.report("anna", "Recalled: the price list")
		if old, now := g.state("wrong@corp.test"), g.state("right@corp.test"); old != "recalled" || now != "held" {
			t.Errorf("the old one is %s, the new one %s", old, now)
		}
	})
}

func TestTheRecallAddressIsDroppedFromMailThatPassesUnheld(t *testing.T) {
	eachOffice(t, func(t *testing.T, k kind) {
		g := k.office(t, "1h", "[[hold.rule]]", `name = "hasty"`, `login = ["anna"]`, `wish = "any"`)
		g.message("anna", "back@corp.test")
		g.mustSubmit("anna", []string{"c@x.test", recallAddress}, "Subject: Re: the price list\r\nX-Hold-For: "+
			"0\r\nIn-Reply-To: <back@corp.test>\r\nMessage-ID: <passes@corp.test>\r\n", "body of passes\r\n")
		server.Eventually(t, "it arrives", func() bool { return g.arrived("passes") == 1 })
		for _, d := range g.sink.Got() {
			if strings.Contains(strings.Join(d.Rcpt, " "), recallAddress) {
				t.Errorf("the recall address got mail: %v", d.Rcpt)
			}
		}
		if got := g.state("back@corp.test"); got != "recalled" {
			t.Errorf("the target is %s", got)
		}
	})
}
