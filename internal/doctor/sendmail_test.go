package doctor

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What m4 makes of recall-milter.m4: nothing is found in it.
const healthyCF = `# comment
O MaxMessageSize=52428800
O DaemonPortOptions=Name=MTA, Port=25
O DaemonPortOptions=Name=recall-reinject, Port=10026, Addr=127.0.0.1, InputMailFilters=
O InputMailFilters=recall-milter
Xrecall-milter, S=inet:8890@127.0.0.1, F=T, T=C:1m;S:2m;R:2m;E:5m
`

func TestEachFaultInSendmailIsNamed(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ from, to, want string }{
		"healthy":         {"", "", ""},
		"a signer before": {"=recall-milter\n", "=opendkim, recall-milter\n", ""},
		"localhost is us": {"8890@127.0.0.1", "8890@localhost", ""},
		"filter missing":  {"Xrecall-milter", "#", "sendmail.milter"},
		"another port":    {"inet:8890", "inet:8891", "sendmail.milter"},
		"not asked":       {"O InputMailFilters=recall-milter\n", "", "sendmail.entry"},
		"one port without": {"Name=MTA, Port=25", "Name=MSA, Port=587, InputMailFilters=\nO DaemonPortOptions=Name=MTA",
			"sendmail.entry"},
		"not last":         {"=recall-milter\n", "=recall-milter, spamassassin\n", "sendmail.order"},
		"no F":             {"F=T, ", "", "sendmail.flag"},
		"F=R":              {"F=T", "F=R", "sendmail.flag"},
		"no T":             {", T=C:1m;S:2m;R:2m;E:5m", "", "sendmail.timeout"},
		"short T":          {"R:2m", "R:10s", "sendmail.timeout"},
		"no port":          {"Port=10026", "Port=10027", "sendmail.port"},
		"port asks us":     {", InputMailFilters=\n", "\n", "sendmail.loop"},
		"port open":        {", Addr=127.0.0.1", "", "sendmail.open"},
		"any size":         {"O MaxMessageSize=52428800\n", "", "sendmail.size"},
		"larger than held": {"52428800", "104857600", "sendmail.size"},
		"a smart host":     {"# comment\n", "DSrelay.corp.test\n", ""},
		"another's port":   {"# comment\n", "DS[127.0.0.1]\nMrelay, P=[IPC]\n\t\tA=TCP $h 2525\n", ""},
		"itself":           {"# comment\n", "DS[127.0.0.1]\n", "sendmail.smart-host"},
		"itself by a name": {"# comment\n", "DSesmtp:localhost\n", "sendmail.smart-host"},
		"the port itself":  {"# comment\n", "DS[127.0.0.1]\nMrelay, P=[IPC]\n\t\tA=TCP $h 10026\n", "sendmail.smart-host"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := siteOf(t, "")
			s.Sendmail = filepath.Join(t.TempDir(), "sendmail.cf")
			if !strings.Contains(healthyCF, c.from) {
				t.Fatalf("%q is not in the healthy file", c.from)
			}
			if err := os.WriteFile(s.Sendmail, []byte(strings.Replace(healthyCF, c.from, c.to, 1)), 0o600); err != nil {
				t.Fatal(err)
			}
			found := gathered(func(r report) { mtas(context.Background(), s, r) })
			if got := strings.Join(checks(found), " "); got != c.want {
				t.Errorf("found %q, want %q: %+v", got, c.want, found)
			}
			fixed(t, found)
		})
	}
}

func TestASendmailCFThatCanNotBeReadIsNamed(t *testing.T) {
	s := siteOf(t, "")
	s.Sendmail = t.TempDir()
	if got := checks(gathered(func(r report) { mtas(context.Background(), s, r) })); len(got) != 1 ||
		got[0] != "sendmail.unreadable" {
		t.Errorf("found %v", got)
	}
}

// FuzzSendmailCF: whatever a file says, looking at it ends.
func FuzzSendmailCF(f *testing.F) {
	f.Add(healthyCF)
	f.Add("X,\nO =\nO DaemonPortOptions=,=,Port=x\n")
	f.Fuzz(func(t *testing.T, text string) {
		s := siteOf(t, "")
		s.Sendmail = filepath.Join(t.TempDir(), "sendmail.cf")
		os.WriteFile(s.Sendmail, []byte(text), 0o600)
		gathered(func(r report) { sendmailLines(s, r) })
	})
}
