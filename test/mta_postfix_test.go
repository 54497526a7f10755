package test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/smtp"
	"net/textproto"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/test/server"
)

// speak has an SMTP dialogue: each line must be answered by 2xx or 3xx, or, when it begins with "!", be refused.
func speak(t *testing.T, addr string, lines ...string) {
	t.Helper()
	c, err := textproto.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, line := range append([]string{"", "EHLO client.test"}, lines...) {
		command, refused := strings.CutPrefix(line, "!")
		if command != "" {
			c.PrintfLine("%s", command)
		}
		code, text, err := c.ReadResponse(0)
		if err != nil && code == 0 || refused != (code >= 400) {
			t.Fatalf("%q is answered by %d %s (%v)", command, code, text, err)
		}
	}
}

// data are the lines of DATA for a message that arrived finds.
func data(id string) []string {
	return []string{"DATA", "Message-ID: <" + id + ">\r\nSubject: x\r\n\r\nbody of " + id + "\r\n."}
}

// By a setting of Postfix; TestSendmailWithSeveralMessagesInASession has the same for Sendmail.
func TestRecipientsAfterARefusedOneAreHeld(t *testing.T) {
	t.Parallel()
	g := startGateway(t, "1s",
		"smtpd_recipient_restrictions = check_recipient_access inline:{bad@x.test=REJECT}, permit_mynetworks, reject")
	speak(t, g.mta.smtp, append([]string{"MAIL FROM:<a@corp.test>", "RCPT TO:<b@x.test>", "!RCPT TO:<bad@x.test>",
		"RCPT TO:<c@x.test>"}, data("m@corp.test")...)...)
	server.Eventually(t, "the message arrives", func() bool { return g.arrived("m@corp.test") == 1 })
	if got := g.sink.Got()[0].Rcpt; len(got) != 2 || !strings.HasPrefix(got[0], "<b@") ||
		!strings.HasPrefix(got[1], "<c@") {
		t.Errorf("recipients %q", got)
	}
}

// Whatever stands in the envelope comes out of a hold as it comes out of Postfix without us.
func TestEnvelopesSurviveAHold(t *testing.T) {
	eachMTA(t, func(t *testing.T, k kind) {
		g := k.gateway(t, "1s")
		envelopes := [][]string{
			{"MAIL FROM:<a@corp.test> RET=HDRS ENVID=QQ+2B31+3D",
				"RCPT TO:<b@x.test> NOTIFY=NEVER ORCPT=rfc822;bob+2Bbilling@x.test"},
			{"MAIL FROM:<a@corp.test> RET=FULL", "RCPT TO:<b@x.test> NOTIFY=SUCCESS,FAILURE ORCPT=x400;/c+3Dde/s+3Dodd/",
				"RCPT TO:<c@x.test>"},
			{"MAIL FROM:<\u00fc@corp.test> SMTPUTF8 BODY=8BITMIME", "RCPT TO:<\u65e5\u672c@x.test>"},
			{"MAIL FROM:<\"a<b>c\"@corp.test> BODY=8BITMIME", "RCPT TO:<\"d e\\\"f\"@x.test>",
				"RCPT TO:<@relay.test,@other.test:c@x.test>"},
			{"MAIL FROM:<a+tag=x@[192.0.2.2]> BODY=7BIT", "RCPT TO:<b@x.test>"},
			{"MAIL FROM:<a+tag=x@corp.test> BODY=7BIT SIZE=200", "RCPT TO:<b@[192.0.2.1]>"},
		}
		for n, envelope := range envelopes {
			unusual := strings.Contains(strings.Join(envelope, " "), "SMTPUTF8") || strings.Contains(envelope[1], "@[")
			if unusual && !offers(g.mta.smtp, "SMTPUTF8") {
				continue // Debian builds Sendmail without it, which also does not bring mail for an address to the next hop
			}
			plain, held := fmt.Sprintf("plain%d@corp.test", n), fmt.Sprintf("held%d@corp.test", n)
			speak(t, g.mta.reinject, append(envelope, data(plain)...)...)
			speak(t, g.mta.smtp, append(envelope, data(held)...)...)
			server.Eventually(t, "both arrive", func() bool { return g.arrived(plain) == 1 && g.arrived(held) == 1 })
			want, got := g.delivery(plain), g.delivery(held)
			if want.Mail = withoutSize(want.Mail); withoutSize(got.Mail) != want.Mail ||
				!reflect.DeepEqual(got.Rcpt, want.Rcpt) {
				t.Errorf("after a hold  %s %q\nplain Postfix %s %q", got.Mail, got.Rcpt, want.Mail, want.Rcpt)
			}
		}
	})
}

// offers says whether an MTA knows an ESMTP extension.
func offers(addr, extension string) bool {
	c, err := smtp.Dial(addr)
	if err != nil {
		return false
	}
	defer c.Close()
	ok, _ := c.Extension(extension)
	return ok
}

// delivery returns the first delivery of a message.
func (g *gateway) delivery(id string) server.Delivery {
	for _, d := range g.sink.Got() {
		if bytes.Contains(d.Data, []byte("body of "+id)) {
			return d
		}
	}
	return server.Delivery{}
}

// withoutSize drops the SIZE parameter: it counts our Received field.
func withoutSize(mail string) string {
	var kept []string
	for _, word := range strings.Fields(mail) {
		if !strings.HasPrefix(word, "SIZE=") {
			kept = append(kept, word)
		}
	}
	return strings.Join(kept, " ")
}

func TestNullSenderIsNeverHeld(t *testing.T) {
	eachMTA(t, func(t *testing.T, k kind) {
		g := k.gateway(t, "1h")
		speak(t, g.mta.smtp, append([]string{"MAIL FROM:<>", "RCPT TO:<b@x.test>"}, data("bounce@x.test")...)...)
		server.Eventually(t, "the bounce arrives", func() bool { return g.arrived("bounce@x.test") == 1 })
	})
}

func TestBccIsNotLeaked(t *testing.T) {
	eachMTA(t, func(t *testing.T, k kind) {
		g := k.gateway(t, "1s")
		speak(t, g.mta.smtp, "MAIL FROM:<a@corp.test>", "RCPT TO:<b@x.test>", "RCPT TO:<secret@x.test>", "DATA",
			"Message-ID: <m@corp.test>\r\nTo: b@x.test\r\nBcc: secret@x.test\r\n\r\nbody of m@corp.test\r\n.")
		server.Eventually(t, "the message arrives", func() bool { return g.arrived("m@corp.test") == 1 })
		if got := g.delivery("m@corp.test"); bytes.Contains(got.Data, []byte("secret")) || len(got.Rcpt) != 2 {
			t.Errorf("recipients %q of\n%s", got.Rcpt, got.Data)
		}
	})
}

// Postfix only: Sendmail has other ways, TestSendmailHoldsWhatProgramsSubmit and TestSendmailRunByRootTakesNoMilter.
func TestSubmissionBySendmailProgramIsHeld(t *testing.T) {
	t.Parallel()
	g := startGateway(t, "1h", "non_smtpd_milters = $smtpd_milters")
	c := g.mta.command("-f", "cron@corp.test", "b@x.test")
	c.Stdin = strings.NewReader("Message-ID: <cron@corp.test>\nSubject: x\n\nbody\n")
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	server.Eventually(t, "the message is held", func() bool {
		out, _ := g.ctl("--json", "list", "--sender", "cron@corp.test")
		return strings.Contains(out, "<cron@corp.test>") && !strings.Contains(out, `"queue_id":""`)
	})
}

// A setting of Postfix; the lines that we ship for Sendmail have F=T, which TestOpenSessionsSurviveARestart meets.
func TestDefaultActionAcceptDeliversUnheldWhileTheDaemonIsDead(t *testing.T) {
	t.Parallel()
	g := startGateway(t, "1h", "milter_default_action = accept")
	g.mustSend("held@corp.test")
	g.killDaemon()
	g.mustSend("unheld@corp.test")
	server.Eventually(t, "the message arrives unheld", func() bool { return g.arrived("unheld@corp.test") == 1 })
	g.startDaemon()
	if out, _ := g.ctl("--json", "list"); !strings.Contains(out, "<held@corp.test>") || strings.Contains(out, "unheld") {
		t.Errorf("held: %s", out)
	}
}

// Postfix only: what is tried is the adapter, which sees a second HELO frame in the same way from both.
func TestSecondHeloAfterStartTLSIsTheOneThatCounts(t *testing.T) {
	t.Parallel()
	file := certificate(t)
	g := startGateway(t, "1s", "smtpd_tls_security_level = may", "smtpd_tls_chain_files = "+file)
	g.change("[release]\n", "[release]\nreceived = \"full\"\n")
	g.killDaemon()
	g.startDaemon()
	c, err := smtp.Dial(g.mta.smtp)
	g.must(err)
	defer c.Close()
	g.must(c.Hello("before.test"))
	g.must(c.Mail("before@corp.test"))
	g.must(c.Reset())
	g.must(c.StartTLS(&tls.Config{InsecureSkipVerify: true}))
	g.must(c.Text.PrintfLine("EHLO after.test"))
	_, _, err = c.Text.ReadResponse(250)
	g.must(err)
	g.must(c.Mail("a@corp.test"))
	g.must(c.Rcpt("b@x.test"))
	w, err := c.Data()
	g.must(err)
	fmt.Fprint(w, "Message-ID: <m@corp.test>\r\nSubject: x\r\n\r\nbody of m@corp.test\r\n")
	g.must(w.Close())
	server.Eventually(t, "the message arrives", func() bool { return g.arrived("m@corp.test") == 1 })
	if got := string(g.sink.Got()[0].Data); !strings.Contains(got, "from after.test") ||
		!strings.Contains(got, "with UTF8SMTPS") || strings.Contains(got, "before") {
		t.Error(got)
	}
}

// certificate writes a key and a certificate that it signed itself.
func certificate(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	form := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"gw.corp.test"},
		NotAfter: time.Now().Add(time.Hour)}
	cert, err := x509.CreateCertificate(rand.Reader, form, form, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	text := append(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}),
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})...)
	file := filepath.Join(t.TempDir(), "chain.pem")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestStoppingTheDaemonUnderLoadLosesNothing(t *testing.T) {
	eachMTA(t, func(t *testing.T, k kind) {
		const clients = 40
		g := k.gateway(t, "1h")
		var mu sync.Mutex
		var taken []string
		var wg sync.WaitGroup
		started := make(chan struct{}, clients)
		for n := range clients {
			wg.Go(func() {
				for k := range 10 {
					id := fmt.Sprintf("c%dm%d@corp.test", n, k)
					err := g.send(id)
					if k == 0 {
						started <- struct{}{}
					}
					if err != nil {
						return // told to try again
					}
					mu.Lock()
					taken = append(taken, id)
					mu.Unlock()
				}
			})
		}
		for range clients / 2 {
			<-started
		}
		g.must(g.daemon.Process.Signal(syscall.SIGTERM))
		g.must(g.daemon.Wait())
		wg.Wait()
		g.startDaemon()
		out, _ := g.ctl("--json", "list")
		for _, id := range taken {
			if n := strings.Count(out, "<"+id+">"); n != 1 {
				t.Errorf("%s was acknowledged, and is held %d times", id, n)
			}
		}
		t.Logf("%d messages were taken", len(taken))
	})
}

// The re-injection port must have no milters. When it has, released mail passes by its mark instead of going round.
func TestReleasedMailThatMeetsTheMilterAgainPasses(t *testing.T) {
	t.Parallel()
	g := startGatewayWith(t, "1s", func(milter, nextHop string) mta {
		m := withPostfix(t, milter, nextHop)
		m.reinject = m.smtp
		return m
	})
	g.mustSend("once@corp.test")
	server.Eventually(t, "the message arrives", func() bool { return g.arrived("once@corp.test") == 1 })
	if n := strings.Count(string(g.sink.Got()[0].Data), "(Recall Milter)"); n != 1 {
		t.Errorf("held %d times", n)
	}
}
