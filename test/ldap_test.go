package test

import (
	"encoding/json"
	"fmt"
	"net/smtp"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/recall-milter/recall-milter/test/server"
)

// departments is a gateway whose rule asks an LDAP server for the sender's department, by the shipped script.
type departments struct {
	*gateway
	ldap *server.Slapd
	maps *server.Inetd
}

// longest is what a message waits whose grace nobody could say: hold.max_grace.
const longest = "24h0m0s"

func startDepartments(t *testing.T) *departments {
	g := startGateway(t, "1h")
	table, err := os.ReadFile("../packaging/socketmap/department.cf")
	g.must(err)
	ldap := server.StartSlapd(t, map[string]string{"anna@corp.test": "finance", "bert@corp.test": "press"})
	file := ldap.Table("department.cf", strings.Replace(string(table), "timeout = 2", "timeout = 1", 1))
	maps := server.StartInetd(t, []string{"MAIL_CONFIG=" + ldap.Conf}, "../packaging/socketmap/socketmap-postmap",
		"grace=pipemap:{ldap:"+file+", inline:{finance=15m, press=0s}}")
	g.configure("[[hold.rule]]\nname = \"departments\"\ngrace = \"@socketmap:inet:" + maps.Addr + ":grace\"\n")
	return &departments{g, ldap, maps}
}

// submit sends a message until Postfix takes it.
func (d *departments) submit(id, who string) {
	d.t.Helper()
	d.submitted(id, func() error { return d.try(id, who) })
}

func (d *departments) try(id, who string) error {
	return smtp.SendMail(d.mta.smtp, nil, who+"@corp.test", []string{"b@x.test"},
		[]byte("Message-ID: <"+id+">\r\n\r\nbody of "+id+"\r\n"))
}

// graces are those of what is held, by Message-ID.
func (d *departments) graces() map[string]string {
	d.t.Helper()
	all := map[string]string{}
	out, _ := d.ctl("--json", "list")
	for line := range strings.Lines(out) {
		var h struct {
			MessageID string `json:"message_id"`
			Grace     string `json:"grace"`
		}
		d.must(json.Unmarshal([]byte(line), &h))
		all[strings.Trim(h.MessageID, "<>")] = h.Grace
	}
	return all
}

// asks is what a Postfix gets from the same socketmap.
func (d *departments) asks(key string) string {
	c := exec.Command(server.Program(d.t, "postmap"), "-c", filepath.Join(d.postfix.Dir, "conf"), "-q", key,
		"socketmap:inet:"+d.maps.Addr+":grace")
	out, err := c.CombinedOutput()
	switch {
	case err == nil:
		return strings.TrimSpace(string(out))
	case len(out) == 0:
		return "not found"
	}
	return "no answer"
}

// The department in LDAP decides the grace. While the server hangs or is away, mail waits for the longest grace.
func TestTheDepartmentInLDAPDecidesTheGrace(t *testing.T) {
	t.Parallel()
	d := startDepartments(t)
	for key, want := range map[string]string{"anna@corp.test": "15m", "bert@corp.test": "0s",
		"carl@corp.test": "not found", "*)(mail=anna*": "not found", "-": "not found"} {
		if got := d.asks(key); got != want {
			t.Errorf("Postfix asks for %s: %s, want %s", key, got, want)
		}
	}
	for _, who := range []string{"anna", "bert", "carl"} {
		d.submit("first-"+who, who)
	}
	server.Eventually(t, "mail of the press leaves at once", func() bool { return d.arrived("first-bert") == 1 })
	d.ldap.Pause()
	d.submit("hangs", "bert")
	if got := d.asks("bert@corp.test"); got != "no answer" {
		t.Errorf("while LDAP hangs, Postfix hears %s", got)
	}
	d.ldap.Kill()
	d.submit("away", "bert")
	d.ldap.Start()
	d.restartsUnderLoad()
	got := d.graces()
	for id, want := range map[string]string{"first-anna": "15m0s", "first-carl": "1h0m0s", "hangs": longest,
		"away": longest} {
		if got[id] != want {
			t.Errorf("%s waits for %q, want %s", id, got[id], want)
		}
	}
}

// restartsUnderLoad restarts each part while people send, and finds that nothing of it has left sooner than its
// department allows, and that mail leaves again when all are back.
func (d *departments) restartsUnderLoad() {
	d.t.Helper()
	const senders = 4
	end, sent := make(chan bool), make([]int, senders)
	var load sync.WaitGroup
	for n := range senders {
		load.Go(func() {
			who := []string{"anna", "bert"}[n%2]
			for {
				select {
				case <-end:
					return
				default:
				}
				if d.try(fmt.Sprintf("%s-%d-%d", who, n, sent[n]), who) == nil { // else the client tries it again
					sent[n]++
				}
			}
		})
	}
	taken := func(more int) {
		before := d.logs("hold: ")
		server.Eventually(d.t, "more is held", func() bool { return d.logs("hold: ") >= before+more })
	}
	for range 2 {
		d.ldap.Kill()
		taken(2)
		d.ldap.Start()
		d.maps.Stop()
		taken(2)
		d.maps.Start()
		d.killDaemon()
		d.startDaemon()
		taken(2)
	}
	close(end)
	load.Wait()
	n := 0
	server.Eventually(d.t, "mail of the press leaves again", func() bool {
		n++
		d.submit(fmt.Sprintf("again-%d", n), "bert")
		return d.arrived(fmt.Sprintf("again-%d", n)) == 1
	})
	d.leftAsAllowed(sent)
}

// leftAsAllowed looks at each message of the load: it waits for a grace that its department allows, or it has left and
// was allowed to.
func (d *departments) leftAsAllowed(sent []int) {
	d.t.Helper()
	held, waits, left := d.graces(), 0, 0
	for n, count := range sent {
		who := []string{"anna", "bert"}[n%2]
		for m := range count {
			id := fmt.Sprintf("%s-%d-%d", who, n, m)
			switch grace := held[id]; {
			case grace == longest:
				waits++
			case who == "anna" && grace != "15m0s", who == "bert" && grace != "":
				d.t.Errorf("%s waits for %q", id, grace)
			case who == "bert":
				server.Eventually(d.t, id+" arrives", func() bool { return d.arrived(id) > 0 })
				left++
			}
			if who == "anna" && d.arrived(id) > 0 {
				d.t.Errorf("%s has left", id)
			}
		}
	}
	d.t.Logf("%d sent; of these %d waited for the longest grace, and %d left at once", sent, waits, left)
	if waits == 0 {
		d.t.Error("no message met a server that was away")
	}
}

// logs counts the daemon's log lines with a text.
func (d *departments) logs(text string) int {
	log, _ := os.ReadFile(d.log)
	return strings.Count(string(log), text)
}
