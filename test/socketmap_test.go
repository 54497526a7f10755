package test

import (
	"net/smtp"
	"sync/atomic"
	"testing"

	"github.com/recall-milter/recall-milter/test/server"
)

// While a socketmap says no, mail passes; while it has no answer, or is away, the same mail is held.
func TestASocketmapThatIsAwayLetsNoMailOutSooner(t *testing.T) {
	t.Parallel()
	g := startGateway(t, "0s")
	var answer atomic.Value
	answer.Store("NOTFOUND ")
	l := server.StartSocketmap(t, "tcp", server.FreeAddr(t), func(string) string { return answer.Load().(string) })
	g.configure("[[hold.rule]]\nname = \"vips\"\nsender = [\"@socketmap:inet:" + l.Addr().String() +
		":vips\"]\ngrace = \"1h\"\n")
	submit := func(id string) {
		g.submitted(id, func() error {
			return smtp.SendMail(g.mta.smtp, nil, "anna@corp.test", []string{"b@x.test"},
				[]byte("Message-ID: <"+id+">\r\n\r\nbody of "+id+"\r\n"))
		})
	}
	submit("no@corp.test")
	server.Eventually(t, "who is not in it sends at once", func() bool { return g.arrived("no@corp.test") == 1 })
	for text, id := range map[string]string{"OK yes": "yes", "TEMP LDAP is away": "temp", "PERM broken": "perm",
		"": "restarts"} {
		answer.Store(text)
		submit(id + "@corp.test")
		if got := g.state(id + "@corp.test"); got != "held" {
			t.Errorf("%s is %s", id, got)
		}
	}
	l.Close()
	answer.Store("")
	submit("away@corp.test")
	if got := g.state("away@corp.test"); got != "held" {
		t.Errorf("away is %s", got)
	}
	g.said("does not answer: mail that depends on it is held for the longest grace that was possible")
	answer.Store("OK yes")
	server.StartSocketmap(t, "tcp", l.Addr().String(), func(string) string { return answer.Load().(string) })
	submit("back@corp.test")
	g.said(":vips answers again, after ")
}
