// Package test runs the whole gateway against real servers: a private Postfix and a private Redis on loopback.
package test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/smtp"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/recall-milter/recall-milter/test/server"
)

// gateway is Postfix, Redis and the daemon, wired as an administrator would.
type gateway struct {
	t       *testing.T
	bin     string
	conf    string
	milter  string
	redis   *server.Redis
	postfix *server.Postfix
	sink    *server.Sink
	daemon  *exec.Cmd
	log     string
}

func startGateway(t *testing.T, grace string) *gateway {
	t.Helper()
	g := &gateway{t: t, bin: t.TempDir(), milter: server.FreeAddr(t), redis: server.StartRedis(t), sink: server.StartSink(t)}
	build := exec.Command("go", "build", "-o", g.bin, "../cmd/...")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	g.postfix = server.StartPostfix(t, g.milter, g.sink.Addr)
	g.conf = filepath.Join(g.bin, "recall-milter.toml")
	g.log = filepath.Join(g.bin, "log")
	host, port, _ := net.SplitHostPort(g.milter)
	text := fmt.Sprintf("listen = [\"inet:%s@%s\"]\n[redis]\naddresses = [%q]\n[hold]\ngrace = %q\n[release]\nsmtp = %q\nretry = { first = \"1s\", max = \"2s\", give_up_after = \"5d\" }\n",
		port, host, g.redis.Addr, grace, g.postfix.Reinject)
	if err := os.WriteFile(g.conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	g.startDaemon()
	t.Cleanup(g.killDaemon)
	return g
}

func (g *gateway) startDaemon() {
	g.t.Helper()
	out, err := os.OpenFile(g.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		g.t.Fatal(err)
	}
	defer out.Close()
	g.daemon = exec.Command(filepath.Join(g.bin, "recall-milter"), "-c", g.conf)
	g.daemon.Stdout, g.daemon.Stderr = out, out
	if err := g.daemon.Start(); err != nil {
		g.t.Fatal(err)
	}
	server.Eventually(g.t, "the daemon listens", func() bool {
		c, err := net.Dial("tcp", g.milter)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
}

func (g *gateway) killDaemon() {
	g.daemon.Process.Signal(syscall.SIGKILL)
	g.daemon.Wait()
	if g.t.Failed() {
		text, _ := os.ReadFile(g.log)
		g.t.Logf("daemon:\n%s\npostfix:\n%s", text, g.postfix.Log())
	}
}

func (g *gateway) send(id string) error {
	text := "From: a@corp.test\r\nTo: b@x.test\r\nSubject: the price list\r\nMessage-ID: <" + id + ">\r\nDate: Tue, 24 Nov 2026 09:00:00 +0000\r\n\r\n.dot\r\nbody of " + id + "\r\n"
	return smtp.SendMail(g.postfix.SMTP, nil, "a@corp.test", []string{"b@x.test"}, []byte(text))
}

func (g *gateway) mustSend(id string) {
	g.t.Helper()
	if err := g.send(id); err != nil {
		g.t.Fatalf("%s was not taken: %v", id, err)
	}
}

// ctl runs recallctl and returns its standard output and exit code.
func (g *gateway) ctl(args ...string) (string, int) {
	g.t.Helper()
	var out, words bytes.Buffer
	c := exec.Command(filepath.Join(g.bin, "recallctl"), append([]string{"-c", g.conf}, args...)...)
	c.Stdout, c.Stderr = &out, &words
	err := c.Run()
	if _, isExit := err.(*exec.ExitError); err != nil && !isExit {
		g.t.Fatal(err)
	}
	g.t.Logf("recallctl %s: exit %d\n%s%s", strings.Join(args, " "), c.ProcessState.ExitCode(), out.String(), words.String())
	return out.String(), c.ProcessState.ExitCode()
}

func (g *gateway) arrived(id string) int {
	n := 0
	for _, d := range g.sink.Got() {
		if bytes.Contains(d.Data, []byte("body of "+id)) {
			n++
		}
	}
	return n
}

func TestHeldMessageIsReleasedAsSubmitted(t *testing.T) {
	g := startGateway(t, "2s")
	g.mustSend("one@corp.test")
	server.Eventually(t, "the message arrives", func() bool { return g.arrived("one@corp.test") == 1 })
	d := g.sink.Got()[0]
	_, rest, _ := strings.Cut(string(d.Data), "From: a@corp.test\r\n")
	want := "To: b@x.test\r\nSubject: the price list\r\nMessage-ID: <one@corp.test>\r\nDate: Tue, 24 Nov 2026 09:00:00 +0000\r\n\r\n.dot\r\nbody of one@corp.test\r\n"
	if rest != want {
		t.Errorf("released:\n%q\nwant\n%q", rest, want)
	}
	if n := strings.Count(string(d.Data), "(Recall Milter)"); n != 1 {
		t.Errorf("%d Received fields of ours, want 1:\n%s", n, d.Data)
	}
	server.Eventually(t, "the hold is a record", func() bool {
		out, code := g.ctl("--json", "list", "--state", "released")
		return code == 0 && strings.Contains(out, "<one@corp.test>")
	})
	if _, code := g.ctl("recall", "<one@corp.test>"); code != 2 {
		t.Errorf("recall after release: exit %d, want 2 (too late)", code)
	}
}

func TestRecalledMessageIsNeverSent(t *testing.T) {
	g := startGateway(t, "1h")
	g.mustSend("keep@corp.test")
	g.mustSend("back@corp.test")
	if _, code := g.ctl("recall", "back@corp.test", "--reason", "wrong list"); code != 0 {
		t.Fatalf("recall: exit %d", code)
	}
	out, _ := g.ctl("--json", "list")
	var hold struct{ ID, State, Message_ID string }
	if err := json.Unmarshal([]byte(out), &hold); err != nil || hold.Message_ID != "<keep@corp.test>" || hold.State != "held" {
		t.Fatalf("list after the recall: %v %+v", err, hold)
	}
	if _, code := g.ctl("release", hold.ID); code != 0 {
		t.Fatalf("release: exit %d", code)
	}
	server.Eventually(t, "the other message arrives", func() bool { return g.arrived("keep@corp.test") == 1 })
	if g.arrived("back@corp.test") != 0 {
		t.Error("the recalled message was sent")
	}
	if _, code := g.ctl("restore", "back@corp.test"); code != 0 {
		t.Fatalf("restore: exit %d", code)
	}
	if _, code := g.ctl("release", "back@corp.test"); code != 0 {
		t.Fatalf("release after restore: exit %d", code)
	}
	server.Eventually(t, "the restored message arrives", func() bool { return g.arrived("back@corp.test") == 1 })
}

func TestNothingAcknowledgedIsLostWhenAllIsKilled(t *testing.T) {
	g := startGateway(t, "1h")
	for i := range 20 {
		g.mustSend(fmt.Sprintf("m%d@corp.test", i))
	}
	g.killDaemon()
	g.redis.Restart()
	g.startDaemon()
	if _, code := g.ctl("release", "--all", "--yes"); code != 0 {
		t.Fatalf("release: exit %d", code)
	}
	for i := range 20 {
		id := fmt.Sprintf("m%d@corp.test", i)
		server.Eventually(t, id+" arrives", func() bool { return g.arrived(id) == 1 })
	}
}

func TestRedisAwayDefersMailAndSaysSo(t *testing.T) {
	g := startGateway(t, "1h")
	g.redis.Kill()
	if err := g.send("away@corp.test"); err == nil || !strings.HasPrefix(err.Error(), "4") {
		t.Fatalf("got %v, want a 4xx answer", err)
	}
	if _, code := g.ctl("list"); code != 69 {
		t.Errorf("list while Redis is away: exit %d, want 69", code)
	}
	g.redis.Start()
	server.Eventually(t, "mail is taken again", func() bool { return g.send("back@corp.test") == nil })
}
