package test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/recall-milter/recall-milter/test/server"
)

// withProgramsPort types the lines of docs/before-the-hold.md that give what programs submit a port of its own.
func (g *gateway) withProgramsPort() (port string) {
	port = server.FreeAddr(g.t)
	_, number, _ := strings.Cut(port, ":")
	g.types(g.t.TempDir(), strings.ReplaceAll(typed(g.t, "before-the-hold.md", "recall-programs unix"), "10029", number))
	return port
}

// submits runs sendmail(1) with a message whose Message-ID is id.
func (g *gateway) submits(id string, args ...string) {
	g.t.Helper()
	c := g.mta.command(args...)
	c.Stdin = strings.NewReader("Subject: x\nMessage-ID: <" + id + ">\n\nbody of " + id + "\n")
	if out, err := c.CombinedOutput(); err != nil {
		g.t.Fatalf("sendmail %q: %v: %s", args, err, out)
	}
}

// What a program asks for by options of sendmail(1) survives the hold at the port of the manual.
func TestProgramsGetWhatTheirOptionsAskFor(t *testing.T) {
	t.Parallel()
	g := startGateway(t, "1s", "non_smtpd_milters = $smtpd_milters")
	port := g.withProgramsPort()
	server.Eventually(t, "the port for programs answers", func() bool { return server.Greets(port) })
	if found, _ := g.doctor("--user", "root"); strings.Contains(fmt.Sprint(found), "postfix.local") {
		t.Errorf("doctor found %v", found)
	}
	g.submits("bv@corp.test", "-bv", "-f", "bv@corp.test", "b@x.test")
	g.submits("v@corp.test", "-v", "-f", "v@corp.test", "c@x.test")
	g.submits("n@corp.test", "-N", "success,failure", "-R", "hdrs", "-f", "n@corp.test", "d@x.test")
	g.submits("verp@corp.test", "-XV", "-f", "verp@corp.test", "e@x.test", "f@x.test")
	server.Eventually(t, "all of it arrives", func() bool {
		return g.arrived("v@corp.test") == 1 && g.arrived("n@corp.test") == 1 && g.arrived("verp@corp.test") == 2 &&
			len(g.to("bv@corp.test")) == 1 && len(g.to("v@corp.test")) == 1
	})
	server.Eventually(t, "nothing is held", g.holdsNothing)
	for _, id := range []string{"v@corp.test", "n@corp.test", "verp@corp.test"} {
		g.said("message-id=<" + id + ">")
	}
	if report := g.to("v@corp.test")[0]; !strings.Contains(report, "Final-Recipient: rfc822; c@x.test") {
		t.Errorf("the report of -v:\n%s", report)
	}
	if report := g.to("bv@corp.test")[0]; !strings.Contains(report, "Action: deliverable") ||
		g.arrived("bv@corp.test") > 0 {
		t.Errorf("the report of -bv:\n%s", report)
	}
	if d := g.delivery("n@corp.test"); !strings.Contains(d.Mail, "RET=HDRS") ||
		!strings.Contains(d.Rcpt[0], "NOTIFY=SUCCESS,FAILURE") {
		t.Errorf("from %s to %s", d.Mail, d.Rcpt)
	}
	for _, d := range g.sink.Got() {
		if text := fmt.Sprint(d.Mail, d.Rcpt); strings.Contains(string(d.Data), "body of verp") &&
			!strings.Contains(text, "verp+e=x.test@") && !strings.Contains(text, "verp+f=x.test@") {
			t.Errorf("one return path for each recipient: %s", text)
		}
	}
}

// Without that port, -bv is the one option that survives: the test of addresses is passed on to Postfix.
func TestAnAddressVerificationDeliversNothing(t *testing.T) {
	t.Parallel()
	g := startGateway(t, "1s", "non_smtpd_milters = $smtpd_milters")
	g.submits("bv@corp.test", "-bv", "-f", "asks@corp.test", "b@x.test")
	g.mustSend("after@corp.test")
	server.Eventually(t, "the report, and the message behind it, arrive", func() bool {
		return g.arrived("after@corp.test") == 1 && len(g.to("asks@corp.test")) == 1
	})
	server.Eventually(t, "nothing is held", g.holdsNothing)
	if text := g.to("asks@corp.test")[0]; !strings.Contains(text, "Action: deliverable") {
		t.Errorf("the report:\n%s", text)
	}
	for _, d := range g.sink.Got() {
		if strings.HasPrefix(d.Rcpt[0], "<b@x.test>") && !strings.Contains(string(d.Data), "after@corp.test") {
			t.Errorf("delivered:\n%s", d.Data)
		}
	}
}

// The limit of main.cf holds for the re-injection port; sendmail(1) submits as many recipients as it likes.
func TestMoreRecipientsThanThePortTakesGetTheMessageOnceEach(t *testing.T) {
	t.Parallel()
	const recipients = 300
	g := startGateway(t, "1s", "non_smtpd_milters = $smtpd_milters", "smtpd_recipient_limit = 100",
		"smtpd_recipient_overshoot_limit = 1")
	args := []string{"-f", "list@corp.test"}
	for n := range recipients {
		args = append(args, fmt.Sprintf("r%d@x.test", n))
	}
	g.submits("many@corp.test", args...)
	got := func() map[string]int {
		times := map[string]int{}
		for _, d := range g.sink.Got() {
			for _, r := range d.Rcpt {
				if strings.Contains(string(d.Data), "body of many@corp.test\r\n") {
					times[address(r)]++
				}
			}
		}
		return times
	}
	server.Eventually(t, "all recipients have it", func() bool { return len(got()) == recipients })
	server.Eventually(t, "nothing is held any more", g.holdsNothing)
	for r, times := range got() {
		if times != 1 {
			t.Errorf("%s got it %d times", r, times)
		}
	}
}
