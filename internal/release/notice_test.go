package release

import (
	"errors"
	"fmt"
	"io"
	"net/mail"
	"strings"
	"testing"

	gomessage "github.com/emersion/go-message"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/mark"
	"github.com/recall-milter/recall-milter/internal/post"
)

// parts reads a bounce as a mail program would and returns type and text of each part.
func parts(t *testing.T, raw string) (header gomessage.Header, all [][2]string) {
	t.Helper()
	m, err := gomessage.Read(strings.NewReader(raw))
	if err != nil {
		t.Fatalf("the bounce can't be read: %v\n%s", err, raw)
	}
	r := m.MultipartReader()
	if r == nil {
		t.Fatalf("the bounce is not a multipart:\n%s", raw)
	}
	for {
		p, err := r.NextPart()
		if errors.Is(err, io.EOF) {
			return m.Header, all
		}
		if err != nil {
			t.Fatalf("%v\n%s", err, raw)
		}
		kind, _, _ := p.Header.ContentType()
		text, _ := io.ReadAll(p.Body)
		all = append(all, [2]string{kind, string(text)})
	}
}

// bounced refuses both recipients of a message and returns the bounce.
func bounced(t *testing.T, c *holdstore.Claim, refusal string) string {
	t.Helper()
	p := startPort(t, to("RCPT TO:<b", refusal), "DSN", "SMTPUTF8")
	attempted(t, &memory{content: message}, p, c)
	_, data := p.got()
	if len(data) != 1 {
		t.Fatalf("%d mails left, want the bounce alone", len(data))
	}
	return undot(data[0])
}

func TestABounceTellsProgramsWhatTheOriginalAskedFor(t *testing.T) {
	c := claim("b@x.test", "b2@x.test")
	c.Sender.Args = []string{"ENVID=QQ+2B1", "RET=FULL"}
	c.Recipients[0].Args = []string{"ORCPT=rfc822;B+2Bx@x.test", "NOTIFY=FAILURE"}
	c.Recipients[1].Args = []string{"NOTIFY=SUCCESS"}
	h, all := parts(t, bounced(t, c, "550 5.1.1 no such user"))
	if kind, params, _ := h.ContentType(); kind != "multipart/report" || params["report-type"] != "delivery-status" ||
		h.Get("Auto-Submitted") != "auto-replied" {
		t.Errorf("header: %s %v, Auto-Submitted: %s", kind, params, h.Get("Auto-Submitted"))
	}
	if len(all) != 3 || all[1][0] != "message/delivery-status" || all[2][0] != "message/rfc822" {
		t.Fatalf("parts: %q", all)
	}
	fields, _, _ := strings.Cut(all[1][1], "\r\nArrival-Date")
	_, recipient, _ := strings.Cut(all[1][1], "\r\n\r\n")
	if want := "Original-Envelope-Id: QQ+1\r\nReporting-MTA: dns; gw.corp.test"; fields != want {
		t.Errorf("of the message:\n%s\nwant\n%s", fields, want)
	}
	want := "Original-Recipient: rfc822;B+x@x.test\r\nFinal-Recipient: rfc822;b@x.test\r\nAction: failed\r\nStatus: " +
		"5.1.1\r\nDiagnostic-Code: smtp; 550 5.1.1 no such user"
	if strings.TrimSpace(recipient) != want {
		t.Errorf("of the recipient:\n%s\nwant\n%s", recipient, want)
	}
	if all[2][1] != message {
		t.Errorf("returned %q", all[2][1])
	}
}

func TestAnInternationalBounceIsOne(t *testing.T) {
	c := claim("bücher@x.test")
	c.Recipients[0].Address = "bücher@x.test"
	c.Sender.Args = []string{"SMTPUTF8"}
	_, all := parts(t, bounced(t, c, "550 5.1.1 unbekannt"))
	if all[1][0] != "message/global-delivery-status" || all[2][0] != "message/global-headers" ||
		!strings.Contains(all[1][1], "Final-Recipient: utf-8;bücher@x.test") {
		t.Errorf("parts: %q", all)
	}
}

func TestNobodyIsToldWhoMustNotBe(t *testing.T) {
	for name, change := range map[string]func(*holdstore.Claim){
		"null sender":    func(c *holdstore.Claim) { c.Sender.Address = "" },
		"NOTIFY=NEVER":   func(c *holdstore.Claim) { c.Recipients[0].Args = []string{"NOTIFY=NEVER"} },
		"only successes": func(c *holdstore.Claim) { c.Recipients[0].Args = []string{"NOTIFY=SUCCESS,DELAY"} },
	} {
		c := claim("b@x.test")
		change(c)
		p := startPort(t, to("RCPT TO:<b", "550 no"))
		attempted(t, &memory{content: message}, p, c)
		if _, data := p.got(); len(data) != 0 || !c.Results[0].Reported {
			t.Errorf("%s: %d mails, reported %v", name, len(data), c.Results[0].Reported)
		}
	}
}

func TestAnEarlierBounceIsNotSentAgain(t *testing.T) {
	c := claim("b@x.test", "later@x.test")
	p := startPort(t, func(_ int, line string) string {
		switch {
		case strings.HasPrefix(line, "RCPT TO:<b@"):
			return "550 5.1.1 no"
		case strings.HasPrefix(line, "RCPT TO:<later@"):
			return "450 4.2.0 later"
		}
		return ""
	})
	s, _ := attempted(t, &memory{content: message}, p, c)
	s.release(t.Context(), t.Context(), c)
	if _, data := p.got(); len(data) != 1 || outcomes(c) != "failed pending" {
		t.Errorf("%d bounces, %s", len(data), outcomes(c))
	}
}

// Whatever a port answers and a client typed, the bounce is one mail that means what we say.
func FuzzNotice(f *testing.F) {
	f.Add("550 5.1.1 no\rsuch\nuser", "b\r\nBcc: x@y", "rfc822;+0D+0Ax", "+0D+0AAction: delivered")
	f.Fuzz(func(t *testing.T, detail, address, orcpt, envid string) {
		c := claim(address)
		c.Sender.Args, c.Recipients[0].Args = []string{"ENVID=" + envid}, []string{"ORCPT=" + orcpt}
		n := post.NewBounce(&c.Hold, []int{0}, map[int]holdstore.Result{0: {Outcome: holdstore.Failed, Detail: detail}},
			mark.New([]byte("secret")))
		text := n.Text(n.HeaderOnly([]byte("Subject: x\r\n")))
		if _, err := mail.ReadMessage(strings.NewReader(text)); err != nil {
			t.Fatal(err)
		}
		if bare := strings.ReplaceAll(text, "\r\n", ""); strings.ContainsAny(bare, "\r\n") {
			t.Fatalf("a bare line break:\n%q", text)
		}
		_, all := parts(t, text)
		fields := fmt.Sprint(all[1][1])
		if len(all) != 3 || strings.Count("\r\n"+fields, "\r\nAction:") != 1 || strings.Contains("\r\n"+fields, "\r\nBcc") {
			t.Fatalf("parts %q", all)
		}
	})
}

// Servers refuse lines over 998 bytes, or cut them in two.
func TestNoLineOfABounceIsTooLong(t *testing.T) {
	long := strings.Repeat("ü", 900)
	for _, ret := range []string{"RET=FULL", "RET=HDRS"} {
		c := claim("b@x.test")
		c.Sender.Args = []string{ret, "ENVID=" + strings.Repeat("e", 1200)}
		c.Recipients[0].Args = []string{"ORCPT=rfc822;" + strings.Repeat("o", 1200)}
		c.Recipients[0].Address = "b" + strings.Repeat("x", 1200) + "@x.test"
		p := startPort(t, to("RCPT TO:<b", "550 5.1.1 "+strings.Repeat("no ", 600)), "8BITMIME")
		attempted(t, &memory{content: "Subject: " + long + "\r\nX-A: b\r\n\r\nbody\r\n"}, p, c)
		lines, data := p.got()
		if len(data) != 1 {
			t.Fatalf("%d mails", len(data))
		}
		for line := range strings.Lines(data[0]) {
			if len(strings.TrimRight(line, "\r\n")) > 998 {
				t.Errorf("%s: a line of %d bytes: %.80s", ret, len(line), line)
			}
		}
		_, all := parts(t, undot(data[0]))
		if got := all[2][1]; !strings.Contains(got, "Subject: "+long) || !strings.Contains(got, "X-A: b") {
			t.Errorf("%s: returned %.200q", ret, got)
		}
		if mail := lines[len(lines)-3]; mail != "MAIL FROM:<> BODY=8BITMIME" && !ascii(data[0]) {
			t.Errorf("an 8-bit bounce after %q", mail)
		}
	}
}
