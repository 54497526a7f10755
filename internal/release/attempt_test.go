package release

import (
	"bufio"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
)

func to(prefix, reply string) func(int, string) string {
	return func(_ int, line string) string {
		if strings.HasPrefix(line, prefix) {
			return reply
		}
		return ""
	}
}

func outcomes(c *holdstore.Claim) string {
	var all []string
	for _, r := range c.Results {
		all = append(all, string(r.Outcome))
	}
	return strings.Join(all, " ")
}

func TestEveryAnswerOfThePort(t *testing.T) {
	for name, c := range map[string]struct {
		answer func(int, string) string
		want   string // outcomes of two recipients
		log    string
	}{
		"takes it": {nil, "sent sent", "released 250 2.0.0 Ok: queued as 4XYZ"},
		"refuses one": {to("RCPT TO:<b@", "550 5.1.1 no such user"), "sent failed",
			"failed b@x.test 550 5.1.1 no such user"},
		"defers one":      {to("RCPT TO:<b@", "450 4.2.0 later"), "sent pending", "retried 250"},
		"denies relaying": {to("RCPT", "554 5.7.1 relay access denied"), "pending pending", "the port refuses us"},
		"refuses everybody": {func(_ int, line string) string {
			return map[byte]string{'R': "450 4.2.0 later", 'D': "554 5.5.1 nobody"}[(line + " ")[0]]
		}, "pending pending", "retried 450 4.2.0 later"},
		"refuses the sender":  {to("MAIL", "553 5.1.8 no"), "pending pending", "the port refuses us: 553"},
		"refuses the content": {to(".", "554 5.6.0 a virus"), "failed failed", "failed a@x.test 554 5.6.0 a virus"},
		"refuses DATA":        {to("DATA", "554 5.5.1 no valid recipients"), "failed failed", "554"},
		"takes DATA for done": {to("DATA", "250 ok"), "pending pending", "answers 250 where 3xx is due"},
		"goes on at MAIL":     {to("MAIL", "354 go on"), "pending pending", "answers 354 where 2xx is due"},
		"goes on at the dot":  {to(".", "354 go on"), "pending pending", "answers 354 where 2xx is due"},
		"defers the content":  {to(".", "452 4.3.1 full"), "pending pending", "retried 452 4.3.1 full"},
		"is shutting down":    {to("RCPT", "421 4.3.2 bye"), "pending pending", "retried 421"},
		"refuses to talk":     {to("EHLO", "554 5.7.1 go away"), "pending pending", "the port refuses us: 554"},
		"greets with 554": {func(_ int,
			line string) string {
			return map[bool]string{true: "554 no service"}[line == ""]
		}, "pending pending",
			"is not ready"},
		"closes":               {to("MAIL", closes), "pending pending", "unexpected EOF"},
		"closes after the dot": {to(".", closes), "pending pending", "unexpected EOF"},
		"talks nonsense":       {to("MAIL", "hello"), "pending pending", "is not SMTP"},
		"talks endless lines":  {to("MAIL", "250 "+strings.Repeat("x", 9000)), "pending pending", "too long a line"},
		"never ends a reply":   {to("MAIL", strings.Repeat("250-x\r\n", 200)+"250 x"), "pending pending", "too many lines"},
	} {
		for _, offers := range [][]string{nil, {"PIPELINING"}} {
			t.Run(fmt.Sprint(name, offers), func(t *testing.T) {
				m, cl := &memory{content: message}, claim("a@x.test", "b@x.test")
				_, log := attempted(t, m, startPort(t, c.answer, offers...), cl)
				if outcomes(cl) != c.want {
					t.Errorf("results %q, want %q", outcomes(cl), c.want)
				}
				if !strings.Contains(log.text(), c.log) {
					t.Errorf("log:\n%s\nwant %q", log.text(), c.log)
				}
				if retry := m.settled[0].RetryIn > 0; retry != strings.Contains(c.want, "pending") {
					t.Errorf("retry: %v", retry)
				}
			})
		}
	}
}

func TestTheClientsRetryTimeCountsFromTheFirstRefusal(t *testing.T) {
	m, c := &memory{content: message}, claim("a@x.test")
	c.HeldAt = time.Now().Add(-30 * 24 * time.Hour) // a long grace is not a reason to give up
	p := startPort(t, to("RCPT TO:<a@x.test>", "450 4.2.0 later"))
	attempted(t, m, p, c)
	if outcomes(c) != "pending" {
		t.Fatalf("the first refusal: %s", outcomes(c))
	}
	c.Results[0].At = time.Now().Add(-2 * time.Hour)
	_, log := attempted(t, m, p, c)
	if outcomes(c) != "failed" || !strings.Contains(log.text(), "bounced a@corp.test") {
		t.Errorf("after give_up_after: %s\n%s", outcomes(c), log.text())
	}
}

func TestAConnectionThatEndedCostsNoAttempt(t *testing.T) {
	for _, ending := range []string{closes, "421 4.4.2 timeout"} {
		p := startPort(t, func(session int, line string) string {
			if session == 1 && strings.HasPrefix(line, "MAIL FROM:<second@") {
				return ending
			}
			return ""
		}, "PIPELINING")
		m, first, second := &memory{content: message}, claim("a@x.test"), claim("b@x.test")
		s, _ := attempted(t, m, p, first)
		second.Sender.Address = "second@corp.test"
		s.release(t.Context(), t.Context(), second)
		if p.dials != 2 && ending == closes {
			t.Errorf("%d connections, want 2", p.dials)
		}
		if got := outcomes(second); ending == closes && got != "sent" {
			t.Errorf("the port had closed the connection: %s", got)
		}
	}
}

func TestNothingIsSentThatIsNotWhole(t *testing.T) {
	p := startPort(t, nil)
	m, c := &memory{content: message, broken: errBroken}, claim("a@x.test")
	_, log := attempted(t, m, p, c)
	if outcomes(c) != "pending" || !strings.Contains(log.text(), "broken") {
		t.Errorf("%s\n%s", outcomes(c), log.text())
	}
	m.broken = fmt.Errorf("piece 3: %w", holdstore.ErrNotFound)
	if _, log = attempted(t, m, p, c); !strings.Contains(log.text(),
		"trouble hold 2222222233333: its message can't be read") {
		t.Errorf("no alarm:\n%s", log.text())
	}
	short := claim("a@x.test")
	short = withLease(short, time.Second)
	m.broken = nil
	if _, log = attempted(t, m, p, short); outcomes(short) != "pending" || !strings.Contains(log.text(), "lease") {
		t.Errorf("with a lease that ends: %s\n%s", outcomes(short), log.text())
	}
	p.listen.Close()
	p.wg.Wait() // the last client may just have gone
	for _, d := range p.data {
		if strings.HasSuffix(d, "\r\n.\r\n") {
			t.Errorf("sent: %q", d)
		}
	}
}

func withLease(c *holdstore.Claim, d time.Duration) *holdstore.Claim {
	short := holdstore.NewClaim(holdstore.Hold{}, "", time.Now().Add(d))
	short.Hold = c.Hold
	return short
}

func TestManyRecipientsInBatches(t *testing.T) {
	var many []string
	for n := range 350 {
		many = append(many, fmt.Sprintf("r%d@x.test", n))
	}
	for _, offers := range [][]string{nil, {"PIPELINING"}} {
		p, c := startPort(t, to("RCPT TO:<r77@", "550 5.1.1 no"), offers...), claim(many...)
		m := &memory{content: message}
		attempted(t, m, p, c)
		for n, r := range c.Results {
			if want := map[bool]holdstore.Outcome{true: holdstore.Failed, false: holdstore.Sent}[n == 77]; r.Outcome != want {
				t.Errorf("recipient %d: %s", n, r.Outcome)
			}
		}
	}
}

func TestParametersAndTheClientTravelOn(t *testing.T) {
	c := claim("a@x.test")
	c.Sender.Args = []string{"SIZE=100", "BODY=8BITMIME", "RET=HDRS", "ENVID=x+2By", "AUTH=<>"}
	c.Recipients[0].Args = []string{"NOTIFY=NEVER", "ORCPT=x400;c+3Dde"}
	p := startPort(t, nil, "PIPELINING", "8BITMIME", "DSN", "XFORWARD NAME ADDR PROTO HELO SOURCE PORT")
	attempted(t, &memory{content: message}, p, c)
	lines, _ := p.got()
	want := []string{"EHLO gw.corp.test", "XFORWARD NAME=pc.corp.test ADDR=192.0.2.7 PORT=4711",
		"XFORWARD PROTO=ESMTP HELO=pc SOURCE=REMOTE",
		"MAIL FROM:<a@corp.test> BODY=8BITMIME RET=HDRS ENVID=x+2By", "RCPT TO:<a@x.test> NOTIFY=NEVER ORCPT=x400;c+3Dde",
		"DATA"}
	if strings.Join(lines, "\n") != strings.Join(want, "\n") {
		t.Errorf("said\n%s\nwant\n%s", strings.Join(lines, "\n"), strings.Join(want, "\n"))
	}
}

// A whole envelope and DATA come before any of them is answered, and the content with its final dot comes in one go as
// well.
func TestAMessageTakesTwoRoundTrips(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	said := make(chan string, 1)
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		in := bufio.NewReader(c)
		fmt.Fprint(c, "220 port\r\n")
		in.ReadString('\n')
		fmt.Fprint(c, "250-port\r\n250 PIPELINING\r\n")
		var lines []string
		for n := 0; n < 4; n++ {
			line, _ := in.ReadString('\n')
			lines = append(lines, strings.TrimSpace(line))
		}
		fmt.Fprint(c, "250 ok\r\n250 ok\r\n250 ok\r\n354 go on\r\n")
		readDots(in)
		fmt.Fprint(c, "250 taken\r\n")
		said <- strings.Join(lines, "\n")
		in.ReadByte() // until the client goes
	}()
	c := claim("a@x.test", "b@x.test")
	attempted(t, &memory{content: message}, &port{addr: l.Addr().String()}, c)
	if got := <-said; outcomes(c) != "sent sent" ||
		got != "MAIL FROM:<a@corp.test>\nRCPT TO:<a@x.test>\nRCPT TO:<b@x.test>\nDATA" {
		t.Errorf("%s\n%s", outcomes(c), got)
	}
}

// A port may want the content although it takes none of the recipients, or not even the sender.
func TestNoContentForAPortThatTookNobody(t *testing.T) {
	for line, want := range map[string]string{"RCPT": "failed", "MAIL": "pending"} {
		p := startPort(t, func(session int, got string) string {
			if session == 1 && strings.HasPrefix(got, line) {
				return "550 5.1.1 no"
			}
			return ""
		}, "PIPELINING")
		m, first, second := &memory{content: message}, claim("a@x.test"), claim("b@x.test")
		first.Recipients[0].Args = []string{"NOTIFY=NEVER"} // no bounce
		s, _ := attempted(t, m, p, first)
		s.release(t.Context(), t.Context(), second)
		if outcomes(first) != want || outcomes(second) != "sent" {
			t.Errorf("%s refused: %s, then %s", line, outcomes(first), outcomes(second))
		}
		p.listen.Close()
		s.hangUp()
		p.wg.Wait()
		_, data := p.got()
		// two sessions end when they like
		if slices.Sort(data); len(data) != 2 || data[0] != "" || !strings.Contains(data[1], "body") {
			t.Errorf("%s refused: %q", line, data)
		}
	}
}

func TestWhatTheMessageNeedsMustBeOffered(t *testing.T) {
	c := claim("a@x.test")
	c.Sender.Args = []string{"SMTPUTF8"}
	_, log := attempted(t, &memory{content: message}, startPort(t, nil), c)
	if outcomes(c) != "pending" || !strings.Contains(log.text(), "does not offer SMTPUTF8") {
		t.Errorf("%s\n%s", outcomes(c), log.text())
	}
}

func TestAnOutcomeIsWrittenWhenTheStoreIsBackSoThatNobodySendsACopy(t *testing.T) {
	m, p := &memory{content: message, away: 3}, startPort(t, nil)
	_, log := attempted(t, m, p, claim("b@x.test"))
	if len(m.settled) != 1 || m.settled[0].Results[0].Outcome != holdstore.Sent ||
		strings.Contains(log.text(), "trouble") {
		t.Errorf("%+v\n%s", m.settled, log.text())
	}
}
