package test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/recall-milter/recall-milter/test/server"
)

// finding is one line of "recallctl --json doctor".
type finding struct{ Check, Level, Text, Fix string }

// findings returns what is not well, by its name.
func (g *gateway) findings() map[string]finding {
	g.t.Helper()
	out, _ := g.ctl("--json", "doctor", "--postfix", g.postfix.Conf())
	all := map[string]finding{}
	for line := range strings.Lines(out) {
		var f finding
		g.must(json.Unmarshal([]byte(line), &f))
		if f.Level != "ok" {
			all[f.Check] = f
		}
	}
	return all
}

// found is what doctor says by a name; the zero value: nothing.
func (g *gateway) found(check string) finding { return g.findings()[check] }

// What doctor gives as a command is pasted into a shell, and what it was given for is gone.
func TestTheFixesThatDoctorGivesWorkWhenPasted(t *testing.T) {
	t.Parallel()
	g := healthy(t, "1h")
	conf := filepath.Join(g.postfix.Dir, "conf")
	postconf := func(kind, setting string) func() {
		return func() {
			if out, err := exec.Command("postconf", "-c", conf, kind, setting).CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
		}
	}
	port := g.mta.reinject + "/inet/"
	for _, c := range []struct {
		name   string
		broken func()
		check  string
	}{
		{"appendfsync", func() { g.redis.Do("CONFIG SET appendfsync everysec") }, "redis.durable"},
		{"memory", g.nearlyFull, "redis.memory"},
		{"paused", func() { g.ctl("pause") }, "holds.paused"},
		{"open config", func() { g.must(os.Chmod(g.conf, 0o644)) }, "files.open"},
		{"no milter", postconf("-e", "smtpd_milters="), "postfix.milter"},
		{"in_flow_delay", postconf("-e", "in_flow_delay=1s"), "postfix.in-flow"},
		{"default action", postconf("-e", "milter_default_action=accept"), "postfix.default-action"},
		{"time-out", postconf("-e", "milter_content_timeout=5s"), "postfix.timeout"},
		{"size", postconf("-e", "message_size_limit=104857600"), "postfix.size"},
		{"loop", postconf("-P", port+"content_filter=smtp:["+strings.Replace(g.mta.reinject, ":", "]:", 1)),
			"postfix.filter-loop"},
		{"limits", postconf("-P", port+"smtpd_client_event_limit_exceptions=192.0.2.1"), ""},
		{"limits by client", postconf("-P", port+"smtpd_client_message_rate_limit=5"), "postfix.throttled"},
		{"stopped", g.postfix.Kill, "postfix.stopped"},
	} {
		g.t = t
		c.broken()
		if c.check == "" {
			continue
		}
		fix := g.found(c.check).Fix
		if fix == "" || strings.HasPrefix(fix, "by hand") {
			t.Errorf("%s: doctor gives %q for %s", c.name, fix, c.check)
			continue
		}
		paste := exec.Command("sh", "-c", fix)
		paste.Env = append(os.Environ(), "PATH="+programs+":"+os.Getenv("PATH"))
		if out, err := paste.CombinedOutput(); err != nil {
			t.Errorf("%s: %s: %v: %s", c.name, fix, err, out)
		}
		server.Eventually(t, c.name+": after "+fix+" nothing is found", func() bool { return g.found(c.check).Level == "" })
	}
}
