package test

import (
	"net/smtp"
	"strings"
	"testing"

	"github.com/recall-milter/recall-milter/test/server"
)

// Behind the re-injection port a filter may change sender, header and Received lines, and bring the message to a port
// with milters. It is not held again. A sender who takes the mark out of a message of their own gets no other message
// past the hold with it.
func TestAReleasedMessageIsNotHeldAgainAndItsMarkServesNoOther(t *testing.T) {
	t.Parallel()
	g := startGateway(t, "1h")
	g.mustSend("one@corp.test")
	if _, code := g.ctl("release", "one@corp.test"); code != 0 {
		t.Fatalf("release: exit %d", code)
	}
	server.Eventually(t, "the message arrives", func() bool { return g.arrived("one@corp.test") == 1 })
	released := string(g.sink.Got()[0].Data)
	changed := strings.NewReplacer("Subject: ", "Subject: [checked] ", "<one@corp.test>", "<rewritten@filter.test>",
		" (Recall Milter) with", "\r\n (Recall Milter)\r\n with").Replace(released)
	g.must(smtp.SendMail(g.mta.smtp, nil, "SRS0=x=y=corp.test=a@gw.corp.test", []string{"b@x.test"},
		[]byte("Received: from filter.test by gw.corp.test; Tue, 24 Nov 2026 09:00:01 +0000\r\n"+changed)))
	server.Eventually(t, "the changed message arrives at once", func() bool { return g.arrived("one@corp.test") == 2 })
	g.said("released by a gateway")

	header, _, _ := strings.Cut(released, "\r\n\r\n")
	g.must(smtp.SendMail(g.mta.smtp, nil, "a@corp.test", []string{"b@x.test"},
		[]byte(header+"\r\n\r\nbody of another@corp.test\r\n")))
	other := strings.NewReplacer("Subject: ", "Subject: We have this to say of ", "<one@corp.test>",
		"<third@corp.test>").Replace(released)
	g.must(smtp.SendMail(g.mta.smtp, nil, "a@corp.test", []string{"b@x.test"}, []byte(other)))
	if out, _ := g.ctl("--json", "list"); strings.Count(out, `"id"`) != 2 {
		t.Errorf("a copied mark let another message pass: held is\n%s", out)
	}
	if g.arrived("another@corp.test") != 0 || g.arrived("one@corp.test") != 2 {
		t.Error("a copied mark let another message pass")
	}
}
