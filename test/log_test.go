package test

import (
	"bufio"
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/recall-milter/recall-milter/test/server"
)

// grep returns the lines of both logs that have a word, as an administrator finds them.
func (g *gateway) grep(word string) (daemon, mta []string) {
	g.t.Helper()
	text, err := os.ReadFile(g.log)
	g.must(err)
	pick := func(log string) (found []string) {
		for line := range strings.Lines(log) {
			if strings.Contains(line, word) {
				found = append(found, line)
			}
		}
		return found
	}
	return pick(string(text)), pick(g.mta.log())
}

// One word, whichever an administrator has, leads from the submission to the delivery. Postfix only: a private Sendmail
// has no syslog to write to.
func TestOneGrepFollowsAMessageThroughBothLogs(t *testing.T) {
	t.Parallel()
	g := startGateway(t, "1s")
	g.mustSend("m@corp.test")
	server.Eventually(t, "the MTA logs the delivery", func() bool {
		_, mta := g.grep("status=sent")
		return len(mta) > 0
	})
	g.said("release: id=")
	daemon, mta := g.grep("<m@corp.test>")
	held := regexp.MustCompile(`^(\w+): hold: id=(\w+), message-id=<m@corp.test>, from=<a@corp.test>, ` +
		`nrcpt=1, size=\d+, rule=default, due=[0-9TZ:-]+\n$`).
		FindStringSubmatch(strings.Join(daemon[:1], ""))
	released := regexp.MustCompile(`^(\w+): release: id=(\w+), message-id=<m@corp.test>, ` +
		`nrcpt=1, late=\S+, reply=250 .* queued as (\w+)\n$`).
		FindStringSubmatch(daemon[len(daemon)-1])
	if held == nil || released == nil || released[1] != held[1] || released[2] != held[2] || len(mta) != 2 {
		t.Fatalf("by Message-ID:\n%s%s", strings.Join(daemon, ""), strings.Join(mta, ""))
	}
	old, id, queued := held[1], held[2], released[3]
	for word, want := range map[string][]string{
		old:    {"hold: ", "release: ", "smtpd", "client=", "DISCARD"},
		queued: {"release: ", "message-id=<m@corp.test>", "status=sent"},
		id:     {"hold: ", "release: "},
	} {
		daemon, mta := g.grep(word)
		all := strings.Join(append(daemon, mta...), "")
		for _, text := range want {
			if !strings.Contains(all, text) {
				t.Errorf("grep %s finds no %q:\n%s", word, text, all)
			}
		}
	}
}

func TestAJSONLogIsOneObjectALine(t *testing.T) {
	t.Parallel()
	g := startGateway(t, "1s")
	g.killDaemon()
	g.must(os.Remove(g.log))
	g.change("[redis]", "[log]\nformat = \"json\"\n[redis]")
	g.startDaemon()
	g.mustSend("m@corp.test")
	g.said(`"msg":"release"`)
	g.redis.Kill() // trouble is an object too
	g.said("nothing is released")
	g.killDaemon() // else its last line may be half written
	text, err := os.Open(g.log)
	g.must(err)
	defer text.Close()
	seen := map[string]map[string]any{}
	for lines := bufio.NewScanner(text); lines.Scan(); {
		var line map[string]any
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			t.Fatalf("%v: %s", err, lines.Text())
		}
		if line["level"] == "" || line["time"] == "" {
			t.Errorf("without level or time: %s", lines.Text())
		}
		seen[line["msg"].(string)] = line
	}
	for verb, fields := range map[string][]string{"hold": {"id", "from", "nrcpt", "size", "rule", "due"},
		"release": {"id", "nrcpt", "late", "reply"}} {
		line := seen[verb]
		for _, name := range fields {
			if text, _ := line[name].(string); text == "" {
				t.Errorf("%s has no %s: %v", verb, name, line)
			}
		}
		if line["message_id"] != "<m@corp.test>" || line["queue_id"] != seen["hold"]["queue_id"] {
			t.Errorf("%s: %v", verb, line)
		}
	}
}
