package test

import (
	"fmt"
	"net/smtp"
	"strings"
	"testing"

	"github.com/recall-milter/recall-milter/test/outlook"
	"github.com/recall-milter/recall-milter/test/server"
)

// TestMailThatAnMTASplitIsRecalledWhole has a Postfix in front of the gateway that gives two recipients to a
// transaction, as a limit of recipients makes it. Five recipients are three holds of one message, and a recall is three
// commands.
func TestMailThatAnMTASplitIsRecalledWhole(t *testing.T) {
	t.Parallel()
	g := startOffice(t, "1h")
	upstream := server.StartPostfix(t, "", g.mta.smtp, "smtpd_milters =", "smtp_destination_recipient_limit = 2")
	all := strings.Fields("a@x.test b@x.test c@y.test d@x.test e@x.test")
	submit := func(text string, to ...string) {
		g.submitted("mail", func() error { return smtp.SendMail(upstream.SMTP, nil, "anna@corp.test", to, []byte(text)) })
	}
	holds := func(id, state string) int {
		out, _ := g.ctl("--json", "list", "--message-id", id, "--state", state)
		return strings.Count(out, `"state":"`+state+`"`)
	}
	original := func(id, subject string) {
		submit("From: anna@corp.test\r\nTo: "+strings.Join(all, ", ")+"\r\nSubject: "+subject+
			"\r\nDate: Tue, 24 Nov 2026 09:00:00 +0000\r\nMessage-ID: "+id+"\r\n\r\nbody\r\n", all...)
		server.Eventually(t, subject+" waits in three holds", func() bool { return holds(id, "held") == 3 })
	}
	forms := map[string]func(outlook.Recall) string{"A": outlook.Recall.FormA, "B": outlook.Recall.FormB}
	for form, mail := range forms {
		original("<"+form+"@corp.test>", "plan "+form)
		submit(mail(outlook.Recall{From: "anna@corp.test", To: strings.Join(all, ", "), Subject: "plan " + form,
			Prefix: "Recall:"}), all...)
		server.Eventually(t, "form "+form+" recalls all three",
			func() bool { return holds("<"+form+"@corp.test>", "recalled") == 3 })
	}
	original("<mail@corp.test>", "plan by mail")
	submit("From: anna@corp.test\r\nSubject: RECALL <mail@corp.test>\r\n\r\n", recallAddress)
	server.Eventually(t, "a mail recalls all three", func() bool { return holds("<mail@corp.test>", "recalled") == 3 })
	text := g.report("anna", "Recalled: plan by mail")
	for _, to := range all {
		if strings.Count(text, "Final-Recipient: rfc822; "+to+"\r\nOutcome: recalled") != 1 {
			t.Errorf("the report does not name %s once:\n%s", to, text)
		}
	}
	original("<some@corp.test>", "plan for some")
	submit("From: anna@corp.test\r\nSubject: RECALL <some@corp.test> ONLY a@x.test, e@x.test\r\n\r\n", recallAddress)
	g.report("anna", "Recalled: plan for some")
	taken := ""
	for _, to := range all {
		out, _ := g.ctl("--json", "list", "--message-id", "<some@corp.test>")
		taken += fmt.Sprint(to, " ", strings.Count(out, `"address":"`+to+`","result":"recalled"`), " ")
	}
	if taken != "a@x.test 1 b@x.test 0 c@y.test 0 d@x.test 0 e@x.test 1 " {
		t.Errorf("ONLY took back: %s", taken)
	}
	for _, d := range g.sink.Got() {
		if !strings.Contains(strings.Join(d.Rcpt, " "), "anna@corp.test") {
			t.Errorf("sent to %v:\n%s", d.Rcpt, d.Data)
		}
	}
}
