package test

import (
	"bytes"
	"fmt"
	"net"
	"net/smtp"
	"strings"
	"testing"

	"github.com/recall-milter/recall-milter/test/server"
)

func TestSendmailReleasesAsSubmitted(t *testing.T) {
	t.Parallel()
	g := kind(withSendmail).gateway(t, "1s")
	header := "X-Folded: one\r\n\ttwo\r\n   three \t\r\nX-Empty:\r\nX-8bit: \xe4\xf6\r\nSubject: the\tprice  list\r\n" +
		"Message-ID: <one@corp.test>\r\nDate: Tue, 24 Nov 2026 09:00:00 +0000\r\nFrom: a@corp.test\r\nTo: b@x.test\r\n"
	body := ".dot\r\ntrailing blanks \t\r\n\r\n\xff\xfe 8 bit\r\nbody of one@corp.test\r\n"
	err := smtp.SendMail(g.mta.smtp, nil, "a@corp.test", []string{"b@x.test"}, []byte(header+"\r\n"+body))
	if err != nil {
		t.Fatal(err)
	}
	server.Eventually(t, "the message arrives", func() bool { return g.arrived("one@corp.test") == 1 })
	got := g.sink.Got()[0].Data
	if i := bytes.Index(got, []byte("X-Folded:")); i < 0 || string(got[i:]) != header+"\r\n"+body {
		t.Errorf("released:\n%q\nwant at its end\n%q", got, header+"\r\n"+body)
	}
}

func TestSendmailWithSeveralMessagesInASession(t *testing.T) {
	t.Parallel()
	g := kind(withSendmail).gateway(t, "1h")
	c, err := smtp.Dial(g.mta.smtp)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for n := range 3 {
		g.must(c.Mail("a@corp.test"))
		if err := c.Rcpt(""); err == nil {
			t.Fatal("a recipient without sense was taken")
		}
		g.must(c.Rcpt("b@x.test"))
		server.Eventually(t, "the one before is confirmed",
			func() bool { return g.redis.Do("KEYS recall:{mh0}:u:*") == "*0\r\n" })
		w, err := c.Data()
		g.must(err)
		fmt.Fprintf(w, "Message-ID: <same%d@corp.test>\r\nSubject: x\r\n\r\nbody\r\n", n/2) // two are identical
		g.must(w.Close())
		if n == 1 {
			g.must(c.Mail("rset@corp.test"))
			g.must(c.Reset())
		}
	}
	g.must(c.Quit())
	out, _ := g.ctl("--json", "list")
	if got := strings.Count(out, `"state":"held"`); got != 3 || strings.Contains(out, "rset@") ||
		strings.Contains(out, `"queue_id":""`) {
		t.Errorf("%d held, want 3, each with a queue ID:\n%s", got, out)
	}
}

func (g *gateway) must(err error) {
	g.t.Helper()
	if err != nil {
		g.t.Fatal(err)
	}
}

// Programs that submit by "sendmail -bs" go through the milters, as Sendmail's own submission program does by SMTP.
func TestSendmailHoldsWhatProgramsSubmit(t *testing.T) {
	t.Parallel()
	g := kind(withSendmail).gateway(t, "1h")
	here, there := net.Pipe()
	program := g.mta.command("-bs")
	program.Stdin, program.Stdout = there, there
	g.must(program.Start())
	c, err := smtp.NewClient(here, "localhost")
	g.must(err)
	g.must(c.Mail("cron@corp.test"))
	g.must(c.Rcpt("b@x.test"))
	w, err := c.Data()
	g.must(err)
	fmt.Fprint(w, "Message-ID: <cron@corp.test>\r\nSubject: x\r\n\r\nbody\r\n")
	g.must(w.Close())
	g.must(c.Quit())
	here.Close()
	program.Wait()
	if list, _ := g.ctl("--json", "list"); !strings.Contains(list, "<cron@corp.test>") {
		t.Error("not held")
	}
}

// docs/sendmail.md warns of this way round the milter.
func TestSendmailRunByRootTakesNoMilter(t *testing.T) {
	t.Parallel()
	g := kind(withSendmail).gateway(t, "1h")
	c := g.mta.command("-Am", "-f", "cron@corp.test", "b@x.test")
	c.Stdin = strings.NewReader("Message-ID: <cron@corp.test>\nSubject: x\n\nbody of cron@corp.test\n")
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	server.Eventually(t, "the message arrives unheld", func() bool { return g.arrived("cron@corp.test") == 1 })
}
