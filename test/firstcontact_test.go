package test

import (
	"fmt"
	"net/smtp"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/test/server"
)

// Mail to somebody to whom its sender has never written waits, and recallctl says why. After it has left, the next one
// does not wait: the sender knows them now, and nobody else does by that.
func TestOnlyTheFirstMessageToSomebodyWaits(t *testing.T) {
	t.Parallel()
	const reason = "You have not written to them before."
	g := startGateway(t, "1s")
	g.configure("[outbound]\nlocal_domains = [\"corp.test\"]\n[[hold.rule]]\nname = \"strangers\"\n" +
		"first_contact = true\ngrace = \"1h\"\nreason = \"" + reason + "\"\n")
	g.learnedBefore("anna@corp.test", "known@x.test") // before the daemon asks: it believes an age for a minute
	send := func(id, from, to string) {
		g.submitted(id, func() error {
			return smtp.SendMail(g.mta.smtp, nil, from, []string{to},
				[]byte("Message-ID: <"+id+">\r\n\r\nbody of "+id+"\r\n"))
		})
	}
	waits := func(id string) {
		t.Helper()
		shown, code := g.ctl("show", "<"+id+">")
		if code != 0 || !strings.Contains(shown, reason) || !strings.Contains(shown, "strangers") || g.arrived(id) > 0 {
			t.Errorf("%s does not wait as one to a stranger: exit %d\n%s", id, code, shown)
		}
	}
	send("known@corp.test", "anna@corp.test", "known@x.test")
	server.Eventually(t, "mail to somebody known arrives", func() bool { return g.arrived("known@corp.test") == 1 })

	send("first@corp.test", "anna@corp.test", "new@y.test")
	waits("first@corp.test")
	if out, code := g.ctl("release", "<first@corp.test>"); code != 0 {
		t.Fatalf("release: exit %d\n%s", code, out)
	}
	server.Eventually(t, "the first one arrives", func() bool { return g.arrived("first@corp.test") == 1 })
	server.Eventually(t, "its release has taught who wrote to whom", func() bool {
		_, code := g.ctl("correspondents", "forget", "--dry-run", "new@y.test")
		return code == 0
	})
	send("second@corp.test", "anna@corp.test", "New@Y.test")
	server.Eventually(t, "the second one arrives", func() bool { return g.arrived("second@corp.test") == 1 })

	send("bert@corp.test", "bert@corp.test", "new@y.test")
	waits("bert@corp.test")
}

// learnedBefore has the gateway learn from a mail log that somebody wrote to a contact a month ago, so that it is not a
// new one that learns first.
func (g *gateway) learnedBefore(sender, contact string) {
	g.t.Helper()
	at := time.Now().AddDate(0, 0, -30).Format(time.RFC3339)
	log := filepath.Join(g.t.TempDir(), "mail.log")
	g.must(os.WriteFile(log, fmt.Appendf(nil, "%[1]s gw postfix/qmgr[7]: 4XA1: from=<%[2]s>, size=5, nrcpt=1\n"+
		"%[1]s gw postfix/smtp[8]: 4XA1: to=<%[3]s>, relay=x[192.0.2.1]:25, status=sent (250 ok)\n", at, sender, contact),
		0o600))
	if out, code := g.ctl("correspondents", "import", log); code != 0 {
		g.t.Fatalf("import: exit %d\n%s", code, out)
	}
}
