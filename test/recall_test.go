package test

import (
	"fmt"
	"net/smtp"
	"os"
	"strings"
	"testing"

	"github.com/recall-milter/recall-milter/test/server"
)

const recallAddress = "recall@corp.test"

// startOffice starts a gateway whose users log in as anna, bert and the assistant; settings are further config lines.
func startOffice(t *testing.T, grace string, settings ...string) *gateway {
	t.Helper()
	g := startGateway(t, grace, server.StartLogins(t, "anna", "bert", "assistant"))
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
	text := "From: " + from + "\r\nTo: " + strings.Join(to, ", ") + "\r\nDate: Tue, 24 Nov 2026 09:00:00 +0000\r\n" + header + "\r\n" + body
	return smtp.SendMail(g.mta.smtp, auth, from, to, []byte(text))
}

func (g *gateway) mustSubmit(login string, to []string, header, body string) {
	g.t.Helper()
	if err := g.submit(login, to, header, body); err != nil {
		g.t.Fatalf("%s could not send: %v", login, err)
	}
}

// message is what one of the tests' users writes.
func (g *gateway) message(login, id string, to ...string) {
	g.t.Helper()
	if len(to) == 0 {
		to = []string{"b@x.test"}
	}
	g.mustSubmit(login, to, "Subject: the price list\r\nMessage-ID: <"+id+">\r\n", "body of "+id+"\r\n")
}

// command writes to the recall address.
func (g *gateway) command(login, header, body string) {
	g.t.Helper()
	n := len(g.sink.Got())
	g.mustSubmit(login, []string{recallAddress}, header+fmt.Sprintf("Message-ID: <command.%d.%s@corp.test>\r\n", n, login), body)
}

// report waits for the next answer to a user whose subject begins so, and returns it.
func (g *gateway) report(login, subject string) string {
	g.t.Helper()
	var text string
	server.Eventually(g.t, "a report \""+subject+"\" to "+login, func() bool {
		for _, d := range g.sink.Got() {
			if strings.Contains(strings.Join(d.Rcpt, " "), "<"+login+"@corp.test>") && strings.Contains(string(d.Data), "\r\nSubject: "+subject) {
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
	g := startOffice(t, "1h")
	for name, subject := range map[string]string{"message-id": "RECALL Message-ID: <message-id@corp.test>", "bare": "Re: recall <bare@corp.test>"} {
		g.message("anna", name+"@corp.test")
		g.command("anna", "Subject: "+subject+"\r\n", "")
		if got := g.state(name + "@corp.test"); got != "recalled" {
			t.Errorf("%s: the message is %q", subject, got)
		}
	}
	text := g.report("anna", "Recalled: the price list")
	for _, want := range []string{"Nobody below will ever see it", "<b@x.test>", "Auto-Submitted: auto-replied", "report-type=recall-status",
		"Content-Type: message/recall-status", "Final-Recipient: rfc822; b@x.test", "Outcome: recalled"} {
		if !strings.Contains(text, want) {
			t.Errorf("the report lacks %q:\n%s", want, text)
		}
	}
	for _, d := range g.sink.Got() {
		if strings.Contains(strings.Join(d.Rcpt, ""), "x.test") || strings.Contains(strings.Join(d.Rcpt, ""), recallAddress) {
			t.Errorf("sent to %v:\n%s", d.Rcpt, d.Data)
		}
		if strings.Contains(d.Mail, "@") {
			t.Errorf("a report with the sender %s", d.Mail)
		}
	}
}
