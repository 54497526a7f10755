package test

import (
	"bytes"
	"net/smtp"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/test/server"
)

// shippedRules are the rules of the config file in the packages.
func shippedRules(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../packaging/recall-milter.toml")
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(regexp.MustCompile(`(?m)^\[\[hold\.rule\]\](.*\n)(\w.*\n)+`).FindAllString(string(text), -1), "")
}

// Mail that a program sends, and that somebody waits for, is not held by the rules that we ship; mail of people is.
func TestMailOfProgramsPassesWithTheShippedRules(t *testing.T) {
	t.Parallel()
	g := startGateway(t, "1h", "non_smtpd_milters = $smtpd_milters")
	g.configure(shippedRules(t))
	local := func(id, header string, arguments ...string) {
		c := g.mta.command(append(arguments, "b@x.test")...)
		c.Stdin = strings.NewReader(header + "Message-ID: <" + id + ">\n\nbody of " + id + "\n")
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	submit := func(id, from, header string) {
		g.submitted(id, func() error {
			return smtp.SendMail(g.mta.smtp, nil, from, []string{"b@x.test"},
				[]byte(header+"Message-ID: <"+id+">\r\n\r\nbody of "+id+"\r\n"))
		})
	}
	local("cron", "Subject: Cron <root@gw> backup\n") // by root, as these tests are run
	local("told", "Subject: sudo\nAuto-Submitted: auto-generated\n", "-f", "anna@corp.test")
	submit("code", "no-reply@corp.test", "Subject: 123456 is your code\r\n")
	submit("vacation", "anna@corp.test", "Subject: away\r\nAuto-Submitted: auto-replied (vacation)\r\n")
	local("person", "Subject: the price list\n", "-f", "anna@corp.test")
	submit("client", "anna@corp.test", "Subject: the price list\r\nAuto-Submitted: no\r\n")
	for _, id := range []string{"cron", "told", "code", "vacation"} {
		server.Eventually(t, id+" arrives at once", func() bool { return g.arrived(id) == 1 })
	}
	server.Eventually(t, "what people wrote is held", func() bool {
		list, _ := g.ctl("--json", "list")
		return strings.Count(list, "\n") == 2 && strings.Contains(list, "<person>") && strings.Contains(list, "<client>")
	})
}

// A sender's wish only lengthens the grace, unless a rule lets it do more. A file in a message decides at its end.
func TestAWishShortensOnlyWhereARuleLetsIt(t *testing.T) {
	eachOffice(t, func(t *testing.T, k kind) {
		g := k.office(t, "1h", "[[hold.rule]]", `name = "hasty"`, `all_recipients = ["*@x.test", "!boss@x.test"]`,
			`wish = "any"`, "[[hold.rule]]", `name = "files"`, `attachment = ["*.pdf"]`, `grace = "1s"`)
		send := func(id, wish string, to ...string) {
			g.mustSubmit("anna", to, "Subject: s\r\nX-Hold-For: "+wish+"\r\nMessage-ID: <"+id+"@corp.test>\r\n",
				"body of "+id+"\r\n")
		}
		g.mustSubmit("anna", []string{"b@y.test"}, "Subject: s\r\nMessage-ID: <file@corp.test>\r\n"+
			"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n",
			"--b\r\n\r\nbody of file\r\n--b\r\nContent-Type: application/pdf; name=a.pdf\r\n\r\nx\r\n--b--\r\n")
		server.Eventually(t, "what has a file arrives soon", func() bool { return g.arrived("file") == 1 })
		server.Eventually(t, "the release has taught who wrote to whom", func() bool {
			_, code := g.ctl("correspondents", "forget", "--dry-run", "b@y.test")
			return code == 0
		})
		send("hasty", "0", "b@x.test", "c@x.test")
		send("boss", "0", "b@x.test", "BOSS@x.test")
		send("other", "1s", "b@x.test", "c@y.test")
		for id, at := range map[string]time.Duration{"over": -time.Hour, "soon": 3 * time.Second} {
			g.mustSubmit("anna", []string{"b@x.test"}, "Subject: s\r\nX-Hold-Until: "+
				time.Now().Add(at).Format(time.RFC1123Z)+"\r\nMessage-ID: <"+id+"@corp.test>\r\n", "body of "+id+"\r\n")
		}
		server.Eventually(t, "moments are kept", func() bool { return g.arrived("over") == 1 && g.arrived("soon") == 1 })
		for _, d := range g.sink.Got() {
			if bytes.Contains(d.Data, []byte("X-Hold")) {
				t.Errorf("a wish has arrived: %s", d.Data)
			}
		}
		server.Eventually(t, "what the rule lets go arrives", func() bool { return g.arrived("hasty") == 1 })
		for _, id := range []string{"boss", "other"} {
			if got := g.state(id + "@corp.test"); got != "held" {
				t.Errorf("%s is %s", id, got)
			}
		}
	})
}

// delegates is a list as any other: what it excludes may not recall, and what it does not name neither.
func TestAnExcludedDelegateRecallsNothing(t *testing.T) {
	k := kind(offices["Postfix"])
	g := k.office(t, "1h", "[[hold.rule]]", `name = "all"`, `sender = ["anna@*"]`, `delegates = ["*", "!bert"]`)
	g.message("anna", "one@corp.test")
	g.mustSubmit("bert", []string{recallAddress},
		"Subject: recall\r\nIn-Reply-To: <one@corp.test>\r\nMessage-ID: <c1@corp.test>\r\n", "recall\r\n")
	if got := g.state("one@corp.test"); got != "held" {
		t.Errorf("after a recall by somebody who is excluded it is %s", got)
	}
	g.mustSubmit("assistant", []string{recallAddress},
		"Subject: recall\r\nIn-Reply-To: <one@corp.test>\r\nMessage-ID: <c2@corp.test>\r\n", "recall\r\n")
	if got := g.state("one@corp.test"); got != "recalled" {
		t.Errorf("after a recall by a delegate it is %s", got)
	}
}

// Who is added to a list has their mail held from then on, without a reload; a broken list changes nothing.
func TestAListIsInForceWhenItsFileChanges(t *testing.T) {
	t.Parallel()
	g := startGateway(t, "0s")
	list := filepath.Join(filepath.Dir(g.conf), "vips.txt")
	write := func(text string) { g.must(os.WriteFile(list, []byte(text), 0o644)) }
	write("# nobody\n")
	g.configure("[[hold.rule]]\nname = \"vips\"\nsender = [\"@vips.txt\"]\ngrace = \"1h\"\n")
	submit := func(id string) {
		g.submitted(id, func() error {
			return smtp.SendMail(g.mta.smtp, nil, "anna@corp.test", []string{"b@x.test"},
				[]byte("Message-ID: <"+id+">\r\n\r\nbody of "+id+"\r\n"))
		})
	}
	submit("before@corp.test")
	server.Eventually(t, "mail of somebody else passes", func() bool { return g.arrived("before@corp.test") == 1 })
	write("anna@corp.test\n")
	g.said("list: list=vips.txt, entries=1\n")
	submit("after@corp.test")
	write("/(/\n")
	g.said("the list vips.txt is not taken, and the entries that it had stay in force: line 1: invalid regular expression")
	submit("broken@corp.test")
	for _, id := range []string{"after@corp.test", "broken@corp.test"} {
		if got := g.state(id); got != "held" {
			t.Errorf("%s is %s", id, got)
		}
	}
	if checks, _ := g.doctor(); !strings.Contains(strings.Join(checks, " "), "config.list") {
		t.Errorf("doctor: %v", checks)
	}
}
