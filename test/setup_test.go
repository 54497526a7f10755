package test

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/recall-milter/recall-milter/test/server"
)

// A Postfix that knows nothing of us holds, recalls and releases after one command, and is what it was after another.
func TestSetupMakesPostfixHoldAndUndoItsOwnLines(t *testing.T) {
	t.Parallel()
	g := startGateway(t, "1h", "smtpd_milters =", "non_smtpd_milters =", "in_flow_delay = 1s",
		"milter_default_action = accept",
		"smtpd_sender_restrictions = check_sender_access inline:{cron@corp.test=REJECT}", "message_size_limit = 52428800")
	names := server.StartDNS(t)
	g.change(g.mta.reinject, server.FreeAddr(t))
	g.change("[http]\n", "[inbound]\ndns = \""+names.Addr+"\"\n[http]\n")
	g.restartDaemon()
	conf := filepath.Join(g.postfix.Dir, "conf")
	out, code := g.ctl("setup", "--postfix", conf)
	if code != 0 || !strings.Contains(out, "+ smtpd_milters = inet:"+g.milter+"\n") ||
		!strings.Contains(out, "  - in_flow_delay = 1s\n  + in_flow_delay = 0\n") {
		t.Errorf("setup: exit %d:\n%s", code, out)
	}
	g.mustSend("early@corp.test")
	server.Eventually(t, "mail passes as long as nothing was written",
		func() bool { return g.arrived("early@corp.test") == 1 })

	if _, code := g.ctl("setup", "--postfix", conf, "--apply", "--reload"); code != 0 {
		t.Fatalf("setup --apply: exit %d", code)
	}
	local := ""
	server.Eventually(t, "sendmail(1) is held", func() bool {
		if local == "" || g.arrived(local+"@corp.test") > 0 { // through a process that was there before the reload
			local += "local"
			g.must(g.sendmail(local + "@corp.test"))
		}
		list, _ := g.ctl("list")
		return strings.Contains(list, "cron@corp.test")
	})
	server.Eventually(t, "SMTP is held", func() bool {
		g.mustSend("held@corp.test")
		list, _ := g.ctl("--json", "list")
		return strings.Contains(list, "<held@corp.test>")
	})
	g.finds("", 0)
	if _, code := g.ctl("release", "--sender", "cron@corp.test", "--yes"); code != 0 {
		t.Fatalf("release: exit %d", code)
	}
	server.Eventually(t, "what is released arrives, though restrictions would refuse its sender now",
		func() bool { return g.arrived(local+"@corp.test") == 1 })

	if _, code := g.ctl("setup", "--postfix", conf, "--undo", "--reload"); code != 0 {
		t.Fatalf("setup --undo: exit %d", code)
	}
	server.Eventually(t, "mail passes again",
		func() bool { g.mustSend("late@corp.test"); return g.arrived("late@corp.test") > 0 })
	if _, code := g.ctl("drain", "--yes"); code != 0 {
		t.Errorf("drain: exit %d: what was held had no way back after --undo", code)
	}
	server.Eventually(t, "what was held arrives", func() bool { return g.arrived("held@corp.test") > 0 })
	if out, code := g.ctl("setup", "--postfix", conf, "--undo", "--reload"); code != 0 {
		t.Errorf("the second setup --undo: exit %d: %s", code, out)
	}
	g.finds("postfix.milter postfix.local postfix.port", 2)
}

// In an emergency mail passes unheld while other milters go on, also with a config that has errors; --resume holds
// again.
func TestABypassLetsMailPassAndResumeHoldsAgain(t *testing.T) {
	t.Parallel()
	g := startGateway(t, "1h")
	conf := filepath.Join(g.postfix.Dir, "conf")
	lists := g.postconf("smtpd_milters") + g.postconf("non_smtpd_milters")
	g.mustSend("first@corp.test")
	g.change("[http]\n", "[hold.nonsense]\n[http]\n")
	out, code := g.ctl("setup", "--postfix", conf, "--bypass", "--reload")
	if code != 0 || g.postconf("smtpd_milters") != "" {
		t.Errorf("setup --bypass: exit %d: %s", code, out)
	}
	server.Eventually(t, "mail passes",
		func() bool { g.mustSend("free@corp.test"); return g.arrived("free@corp.test") > 0 })
	if _, code := g.ctl("setup", "--postfix", conf, "--bypass"); code != 0 {
		t.Errorf("a second --bypass: exit %d", code)
	}
	if _, code := g.ctl("recall", "first@corp.test"); code != 0 {
		t.Errorf("recall with errors in the config: exit %d", code)
	}
	if _, code := g.ctl("setup", "--postfix", conf, "--resume", "--reload"); code != 0 ||
		g.postconf("smtpd_milters")+g.postconf("non_smtpd_milters") != lists {
		t.Errorf("setup --resume: exit %d: %s", code, g.postconf("smtpd_milters"))
	}
	server.Eventually(t, "mail is held again", func() bool {
		g.mustSend("again@corp.test")
		list, _ := g.ctl("--json", "list")
		return strings.Contains(list, "<again@corp.test>")
	})
	if _, code := g.ctl("setup", "--postfix", conf, "--resume"); code != 0 {
		t.Errorf("a second --resume: exit %d", code)
	}
}

// postconf returns a value of the gateway's main.cf.
func (g *gateway) postconf(name string) string {
	g.t.Helper()
	out, err := exec.Command("postconf", "-c", filepath.Join(g.postfix.Dir, "conf"), "-h", name).Output()
	g.must(err)
	return strings.TrimSpace(string(out))
}

// sendmail submits a message as cron would.
func (g *gateway) sendmail(id string) error {
	c := g.mta.command("-f", "cron@corp.test", "b@x.test")
	c.Stdin = strings.NewReader("Message-ID: <" + id + ">\nSubject: x\n\nbody of " + id + "\n")
	return c.Run()
}
