// Package test runs the whole gateway against real servers: a private Postfix or Sendmail, and a private Redis, on
// loopback.
package test

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/smtp"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/recall-milter/recall-milter/test/server"
)

// programs is the folder of the daemon and recallctl as they stand in the tree, built once, with the race detector.
var programs string

// asShipped has programs built without the race detector, as they are shipped.
var asShipped = os.Getenv("TORTURE") != ""

func TestMain(m *testing.M) { os.Exit(buildAndRun(m)) }

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "recall-milter-test")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	os.Setenv("GORACE", "atexit_sleep_ms=0") // else each program sleeps for a second at its end
	build := exec.Command("go", "build", "-buildvcs=false", "-race", "-o", dir, "../cmd/...")
	if asShipped {
		build = buildShipped(dir, "../cmd/...")
	}
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "%v\n%s", err, out)
		return 1
	}
	programs = dir
	return m.Run()
}

// buildShipped is the command that builds programs into a folder as packaging/build does: without C, whose libraries
// cost a program a millisecond when it starts.
func buildShipped(dir, packages string) *exec.Cmd {
	build := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w -buildid=", "-o", dir,
		packages)
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	return build
}

// gateway is an MTA, Redis and the daemon, wired as an administrator would.
type gateway struct {
	t       *testing.T
	conf    string
	milter  string
	redis   *server.Redis
	mta     mta
	postfix *server.Postfix // nil when the MTA is another one
	sink    *server.Sink
	daemon  *exec.Cmd
	log     string
	environ []string     // of the daemon, in addition to the test's own
	program string       // another daemon than the tree's; empty: that one
	answer  atomic.Value // what recallctl said last
}

// startGatewayTo starts a gateway with Postfix whose re-injection port is a sink of the test's own.
func startGatewayTo(t *testing.T, grace string) (*gateway, *server.Sink) {
	t.Helper()
	return kind(withPostfix).gatewayTo(t, grace)
}

// startGateway starts a gateway with Postfix; settings are further main.cf lines.
func startGateway(t *testing.T, grace string, settings ...string) *gateway {
	t.Helper()
	var postfix *server.Postfix
	g := startGatewayWith(t, grace, func(milter, nextHop string) mta {
		postfix = server.StartPostfix(t, milter, nextHop, settings...)
		return ofPostfix(postfix)
	})
	g.postfix = postfix
	return g
}

// startGatewayWith starts a gateway with the MTA that start starts for a milter and a next hop.
func startGatewayWith(t *testing.T, grace string, start func(milter, nextHop string) mta) *gateway {
	t.Helper()
	dir := t.TempDir()
	g := &gateway{t: t, conf: filepath.Join(dir, "recall-milter.toml"), log: filepath.Join(dir, "log"),
		milter: server.FreeAddr(t), redis: server.StartRedis(t), sink: server.StartSink(t)}
	g.mta = start(g.milter, g.sink.Addr)
	text := fmt.Sprintf("%s\n[redis]\naddresses = [%q]\n[hold]\ngrace = %q\n[release]\nsmtp = %q\nretry = { first = "+
		"\"1s\", max = \"2s\", give_up_after = \"5d\" }\n[http]\nlisten = \"\"\n",
		listenLine(g.milter), g.redis.Addr, grace, g.mta.reinject)
	if err := os.WriteFile(g.conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	g.startDaemon()
	t.Cleanup(g.killDaemon)
	return g
}

// listenLine is the line of the config for a milter at host:port.
func listenLine(milter string) string {
	host, port, _ := net.SplitHostPort(milter)
	return fmt.Sprintf("listen = [\"inet:%s@%s\"]", port, host)
}

func (g *gateway) startDaemon() {
	g.t.Helper()
	out, err := os.OpenFile(g.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		g.t.Fatal(err)
	}
	defer out.Close()
	program := cmp.Or(g.program, filepath.Join(programs, "recall-milter"))
	g.daemon = exec.Command(program, "-c", g.conf)
	g.daemon.Stdout, g.daemon.Stderr = out, out
	g.daemon.Env = append(os.Environ(), g.environ...)
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

// change replaces text of the config file.
func (g *gateway) change(from, to string) {
	g.t.Helper()
	text, err := os.ReadFile(g.conf)
	g.must(err)
	if !bytes.Contains(text, []byte(from)) {
		g.t.Fatalf("%q is not in the config", from)
	}
	g.must(os.WriteFile(g.conf, bytes.ReplaceAll(text, []byte(from), []byte(to)), 0o600))
}

// said waits until the daemon's log has a text.
func (g *gateway) said(text string) {
	g.t.Helper()
	server.Eventually(g.t, "the log says "+text, func() bool { return g.has(text) })
}

// has says whether the daemon's log has a text.
func (g *gateway) has(text string) bool {
	log, _ := os.ReadFile(g.log)
	return bytes.Contains(log, []byte(text))
}

// crashPattern finds how the Go runtime ends a process: a panic that nobody recovers, or a fatal error, and the first
// stack.
var crashPattern = regexp.MustCompile(`(?m)^(panic|fatal error|unexpected fault address|runtime: ).*(\n.*){0,40}`)

func (g *gateway) killDaemon() {
	g.daemon.Process.Signal(syscall.SIGKILL)
	g.daemon.Wait()
	if g.t.Failed() {
		text, _ := os.ReadFile(g.log)
		g.t.Logf("daemon:\n%s\nMTA:\n%s", text, g.mta.log())
		if crash := crashPattern.Find(text); crash != nil { // last, as the middle of a long log is cut first
			g.t.Logf("the daemon crashed:\n%s", crash)
		}
	}
}

func (g *gateway) send(id string) error { return g.sendBody(id, ".dot\r\n") }

// sendBody sends a message whose body ends with a line that arrived looks for.
func (g *gateway) sendBody(id, body string) error {
	text := "From: a@corp.test\r\nTo: b@x.test\r\nSubject: the price list\r\nMessage-ID: <" + id +
		">\r\nDate: Tue, 24 Nov 2026 09:00:00 +0000\r\n\r\n" + body + "body of " + id + "\r\n"
	return smtp.SendMail(g.mta.smtp, nil, "a@corp.test", []string{"b@x.test"}, []byte(text))
}

func (g *gateway) mustSend(id string) {
	g.t.Helper()
	g.submitted(id, func() error { return g.send(id) })
}

// submitted submits a message as a client does, who tries again what is deferred: on a machine under load Redis may be
// too slow for once.
func (g *gateway) submitted(what string, submit func() error) {
	g.t.Helper()
	server.Eventually(g.t, what+" is taken", func() bool {
		err := submit()
		if err != nil && !strings.HasPrefix(err.Error(), "4") {
			g.t.Fatalf("%s was not taken: %v", what, err)
		}
		if err != nil {
			g.t.Logf("%s was not taken yet: %v", what, err)
		}
		return err == nil
	})
}

// ctl runs recallctl and returns its standard output and exit code. What it says is logged once, however often a test
// asks until it changes.
func (g *gateway) ctl(args ...string) (string, int) {
	g.t.Helper()
	var out, words bytes.Buffer
	c := exec.Command(filepath.Join(programs, "recallctl"), append([]string{"-c", g.conf}, args...)...)
	c.Stdout, c.Stderr = &out, &words
	err := c.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		g.t.Fatal(err)
	}
	said := fmt.Sprintf("recallctl %s: exit %d\n%s%s", strings.Join(args, " "), c.ProcessState.ExitCode(), out.String(),
		words.String())
	if g.answer.Swap(said) != said {
		g.t.Log(said)
	}
	return out.String(), c.ProcessState.ExitCode()
}

func (g *gateway) arrived(id string) int { return arrivedAt(g.sink, id) }

func arrivedAt(sink *server.Sink, id string) int {
	n := 0
	for _, d := range sink.Got() {
		if bytes.Contains(d.Data, []byte("body of "+id)) {
			n++
		}
	}
	return n
}

// holdsNothing says whether the store holds nothing any more.
func (g *gateway) holdsNothing() bool {
	out, code := g.ctl("list")
	return code == 0 && out == ""
}
