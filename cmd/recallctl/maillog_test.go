package main

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/test/server"
)

// withSyslog makes a config for a Redis, and a syslog with its socket.
func withSyslog(t *testing.T, redis string) (conf, socket string, log *net.UnixConn) {
	t.Helper()
	dir := t.TempDir()
	conf, socket = filepath.Join(dir, "c.toml"), filepath.Join(dir, "log")
	if err := os.WriteFile(conf, fmt.Appendf(nil, "[redis]\naddresses = [%q]\n", redis), 0o600); err != nil {
		t.Fatal(err)
	}
	log, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { log.Close() })
	return conf, socket, log
}

// Every act is one line in the mail log, with the queue ID of its message: a store that is brought back from a copy is
// made to agree with these lines.
func TestEveryActIsInTheMailLog(t *testing.T) {
	redis := server.StartRedis(t)
	conf, socket, log := withSyslog(t, redis.Addr)
	store, err := holdstore.Open(holdstore.Options{Addresses: []string{redis.Addr}, Durability: "strict"})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	hold := func(queueID string) string {
		p := store.Put(holdstore.Submission{QueueID: queueID, MessageID: "<" + queueID + "@mid.test>",
			Sender:     holdstore.Path{Address: "a@corp.test"},
			Recipients: []holdstore.Path{{Address: "b@x.test"}, {Address: "c@x.test"}}},
			[]byte("Subject: the secret plan "+queueID+"\r\n"))
		receipt, err := p.Commit(t.Context(), holdstore.Terms{Grace: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		return receipt.ID
	}
	one, two := hold("4Q1"), hold("4Q2")
	for _, c := range []struct {
		args string
		want []string // expressions, one a line
	}{
		{"recall " + one + " --reason wrong", []string{`^<22>.* recallctl\[\d+\]: 4Q1: recall: id=` + one +
			`, message-id=<4Q1@mid\.test>, sender=<a@corp\.test>, by=.*, at=.* recallctl, reason=wrong\n$`}},
		{"recall " + one, nil}, // it is recalled already
		{"restore " + one, []string{`: 4Q1: restore: id=` + one}},
		{"extend --all --yes --for 1h", []string{`: 4Q1: extend: id=` + one, `: 4Q2: extend: id=` + two}},
		{"recall " + two + " --only c@x.test", []string{`: 4Q2: recall-only: id=` + two + `, .*, to=c@x\.test, by=`}},
		{"recall " + two + " --only b@x.test", []string{`: 4Q2: recall: id=` + two}}, // nobody gets it any more
		{"restore " + two, []string{`: 4Q2: restore: id=` + two}},
		{"pause --reason x", []string{`: NOQUEUE: pause: by=.*, reason=x`}},
		{"resume", []string{`: NOQUEUE: resume: by=`}},
		{"release " + one, []string{`: 4Q1: release-now: id=` + one}},
		{"drain --yes --timeout 1s", []string{`: 4Q[12]: release-now: id=`, `: 4Q[12]: release-now: id=`}},
	} {
		var out, words bytes.Buffer
		(&ctl{stdin: strings.NewReader(""), screen: newScreen(&out, &words), syslog: socket}).run(t.Context(),
			append([]string{"-c", conf}, strings.Fields(c.args)...))
		var lines []string
		buffer := make([]byte, 8192)
		for {
			// Nothing comes any more when the command has ended: a datagram is there or not.
			log.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
			n, err := log.Read(buffer)
			if err != nil {
				break
			}
			lines = append(lines, string(buffer[:n]))
		}
		all := strings.Join(lines, "")
		if len(lines) != len(c.want) || strings.Contains(all, "secret") {
			t.Errorf("%s: %q\n%s%s", c.args, lines, out.String(), words.String())
			continue
		}
		for n, want := range c.want {
			if !regexp.MustCompile(want).MatchString(lines[n]) {
				t.Errorf("%s: %q, want %s", c.args, lines[n], want)
			}
		}
	}
}

// SUDO_USER is a variable that everybody can set.
func TestOnlyRootIsBelievedForWhomItActs(t *testing.T) {
	if got := person(0, "alice"); got != "root (uid 0) for alice" {
		t.Error(got)
	}
	if got := person(1<<30, "alice"); strings.Contains(got, "alice") {
		t.Error(got)
	}
}
