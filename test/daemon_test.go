package test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/test/server"
)

// daemonSays runs the daemon with arguments that end at once.
func daemonSays(t *testing.T, args ...string) (text string, code int) {
	t.Helper()
	c := exec.Command(filepath.Join(programs, "recall-milter"), args...)
	out, _ := c.CombinedOutput()
	return string(out), c.ProcessState.ExitCode()
}

func TestTheDaemonChecksItsConfig(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	good, bad := filepath.Join(dir, "good.toml"), filepath.Join(dir, "bad.toml")
	for file, text := range map[string]string{good: "[hold]\ngrace = \"1m\"\n",
		bad: "[hold]\ngrace = \"soon\"\ngraze = 1\n"} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if text, code := daemonSays(t, "-t", "-c", good); code != 0 || !strings.Contains(text, "is valid") {
		t.Errorf("exit %d: %s", code, text)
	}
	for _, args := range [][]string{{"-t", "-c", bad}, {"-c", bad}} {
		text, code := daemonSays(t, args...)
		if code != 78 || !strings.Contains(text, bad+":2:1") || !strings.Contains(text, bad+":3:1") ||
			!strings.Contains(text, "grace = \"soon\"") {
			t.Errorf("%q: exit %d: %s", args, code, text)
		}
	}
	if text, code := daemonSays(t, "-c", filepath.Join(dir, "none.toml")); code != 78 ||
		!strings.Contains(text, "no such file") {
		t.Errorf("exit %d: %s", code, text)
	}
	sealed := filepath.Join(dir, "sealed.toml")
	if err := os.WriteFile(sealed, []byte("[seal]\nkey_file = \"/none/seal.keys\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if text, code := daemonSays(t, "-t", "-c", sealed); code != 78 ||
		!strings.Contains(text, "seal.key_file: open /none/seal.keys: no such file") {
		t.Errorf("without its key file: exit %d: %s", code, text)
	}
	if text, code := daemonSays(t, "--version"); code != 0 || !strings.HasPrefix(text, "recall-milter ") {
		t.Errorf("exit %d: %s", code, text)
	}
	if _, code := daemonSays(t, "here"); code != 64 {
		t.Errorf("an argument: exit %d, want 64", code)
	}
}

// In a container the environment sets keys over the file, and secrets are files; under systemd they may be credentials.
func TestTheDaemonTakesItsConfigFromTheEnvironment(t *testing.T) {
	t.Parallel()
	g := startGateway(t, "1h")
	g.killDaemon()
	folder := t.TempDir()
	g.ctl("key", "new", filepath.Join(folder, "seal"))
	g.change("[redis]", "secret_file = \"credential:secret\"\n[seal]\nkey_file = \"credential:seal\"\n[redis]")
	g.environ = []string{"CREDENTIALS_DIRECTORY=" + folder, "RECALL_MILTER_HOLD_GRACE=1s"}
	check := func() (string, int) {
		c := exec.Command(filepath.Join(programs, "recall-milter"), "-t", "-c", g.conf)
		c.Env = append(os.Environ(), g.environ...)
		out, _ := c.CombinedOutput()
		return string(out), c.ProcessState.ExitCode()
	}
	if text, code := check(); code != 78 || !strings.Contains(text, "secret_file: no credential secret") {
		t.Errorf("without a credential: exit %d: %s", code, text)
	}
	g.must(os.WriteFile(filepath.Join(folder, "secret"), []byte("MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=\n"), 0o400))
	if text, code := check(); code != 0 || !strings.Contains(text, "set by the environment: hold.grace\n") {
		t.Errorf("exit %d: %s", code, text)
	}
	g.startDaemon()
	g.mustSend("m@corp.test")
	server.Eventually(t, "the message leaves after the second that the environment says",
		func() bool { return g.arrived("m@corp.test") == 1 })
	g.environ = append(g.environ, "RECALL_MILTER_HOLD_GRAZE=1s")
	if text, code := check(); code != 78 || !strings.Contains(text, "environment variable RECALL_MILTER_HOLD_GRAZE") {
		t.Errorf("an unknown variable: exit %d: %s", code, text)
	}
}

func TestHangupTakesNewRulesAndKeepsTheOldOnesOfABadFile(t *testing.T) {
	t.Parallel()
	g := startGateway(t, "1h")
	g.change("grace = \"1h\"", "grace = \"soon\"")
	g.must(g.daemon.Process.Signal(syscall.SIGHUP))
	g.said("reload refused, the old config stays in force")
	g.mustSend("held@corp.test")
	g.change("grace = \"soon\"", "grace = \"0s\"")
	g.must(g.daemon.Process.Signal(syscall.SIGHUP))
	server.Eventually(t, "a message passes unheld", func() bool {
		g.mustSend("passes@corp.test")
		return g.arrived("passes@corp.test") > 0
	})
	out, _ := g.ctl("--json", "list")
	if !strings.Contains(out, "<held@corp.test>") || g.arrived("held@corp.test") > 0 {
		t.Errorf("what the old rules held: %s", out)
	}
}

// systemd hears when the daemon is ready; monitoring sees it live, also while Redis is away.
func TestSupervisorsSeeHowTheDaemonIs(t *testing.T) {
	t.Parallel()
	g := startGateway(t, "1h")
	g.killDaemon()
	status := server.FreeAddr(t)
	g.change("listen = \"\"", "listen = \""+status+"\"")
	socket := filepath.Join(t.TempDir(), "notify")
	notify, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	g.must(err)
	defer notify.Close()
	g.environ = []string{"NOTIFY_SOCKET=" + socket, "WATCHDOG_USEC=3000000"}
	g.startDaemon()
	for said := ""; !strings.Contains(said, "READY=1") || !strings.Contains(said, "WATCHDOG=1"); {
		got := datagram(notify)
		if said += got; got == "" {
			t.Fatalf("systemd heard %q, want READY=1 and WATCHDOG=1", said)
		}
	}
	g.mustSend("m@corp.test")
	if code, text := g.get(status, "/metrics"); code != 200 ||
		!strings.Contains(text, `recall_milter_verdicts_total{reason="rule",verdict="hold"} 1`) {
		t.Errorf("metrics: %d\n%s", code, text)
	}
	server.Eventually(t, "it is ready", func() bool { code, _ := g.get(status, "/readyz"); return code == 200 })
	g.redis.Kill()
	server.Eventually(t, "it is not ready without Redis", func() bool {
		code, text := g.get(status, "/readyz")
		return code == 503 && strings.Contains(text, "mail can't be held")
	})
	if code, _ := g.get(status, "/livez"); code != 200 {
		t.Errorf("livez without Redis: %d", code)
	}
}

func datagram(c *net.UnixConn) string {
	c.SetReadDeadline(time.Now().Add(time.Minute))
	buf := make([]byte, 1000)
	n, _ := c.Read(buf)
	return string(buf[:n])
}

func (g *gateway) get(addr, path string) (int, string) {
	g.t.Helper()
	r, err := http.Get("http://" + addr + path)
	if err != nil {
		return 0, fmt.Sprint(err)
	}
	defer r.Body.Close()
	var b bytes.Buffer
	io.Copy(&b, r.Body)
	return r.StatusCode, b.String()
}
