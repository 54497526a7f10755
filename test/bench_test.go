//go:build bench

package test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/test/server"
)

// TestBench prints what "make bench" promises. Its numbers are only worth something next to each other: all peers run
// on the same machine, in turns, each against the same sink.
func TestBench(t *testing.T) {
	g := benchGateway(t)
	source(t, g.mta.smtp, 16, 2000, 4<<10)
	t.Run("recall", func(t *testing.T) { recallLatency(t, g) })
	t.Run("lateness", func(t *testing.T) { lateness(t, g) })
	t.Logf("daemon: %s resident at its peak", g.peakMemory())
}

func init() { asShipped = true }

// benchGateway is a gateway of programs as they are shipped.
func benchGateway(t *testing.T) *gateway {
	g := startGateway(t, "24h", "smtpd_client_connection_count_limit = 0", "default_process_limit = 200",
		"smtp_line_length_limit = 0")
	g.change("grace = ", "max_grace = \"48h\"\ngrace = ")
	g.killDaemon()
	g.startDaemon()
	return g
}

// nothing builds and starts the milter that does nothing.
func nothing(t *testing.T, verdict string) string {
	t.Helper()
	addr := server.FreeAddr(t)
	host, port, _ := net.SplitHostPort(addr)
	startListening(t, addr, exec.Command(compiled(t, "nothing"), "inet:"+port+"@"+host, verdict))
	return addr
}

// compiled is a milter in C.
func compiled(t *testing.T, name string) (program string) {
	t.Helper()
	program = filepath.Join(t.TempDir(), name)
	if out, err := exec.Command("cc", "-O2", "-o", program, "bench/"+name+".c", "-lmilter",
		"-lpthread").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return program
}

// startListening starts a program that listens at a host and port or at the path of a socket, and ends it with the
// test.
func startListening(t *testing.T, addr string, c *exec.Cmd) {
	t.Helper()
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Process.Kill(); c.Wait() })
	network := "tcp"
	if filepath.IsAbs(addr) {
		network = "unix"
	}
	server.Eventually(t, "it listens at "+addr, func() bool {
		conn, err := net.Dial(network, addr)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
}

// source sends with Postfix's own smtp-source, which may have further options, and returns messages per second.
func source(t *testing.T, addr string, sessions, messages, size int, options ...string) float64 {
	t.Helper()
	start := time.Now()
	options = append(options, "-s", strconv.Itoa(sessions), "-m", strconv.Itoa(messages), "-l", strconv.Itoa(size),
		"-d", "-f", "a@corp.test", "-t", "b@x.test", addr)
	out, err := exec.Command(server.Program(t, "smtp-source"), options...).CombinedOutput()
	if err != nil {
		t.Errorf("smtp-source: %v\n%s", err, out) // also called outside the test's goroutine
	}
	return float64(messages) / time.Since(start).Seconds()
}

func median(all []float64) float64 {
	sorted := slices.Sorted(slices.Values(all))
	half := len(sorted) / 2
	if len(sorted)%2 == 0 {
		return (sorted[half-1] + sorted[half]) / 2
	}
	return sorted[half]
}

// ofPing is the most that recallctl may take, as a part of what redis-cli takes to ask for a PONG.
const ofPing = 2.0

// recallLatency measures recallctl as a whole process that recalls a message by its ID, next to two floors: redis-cli,
// and recallctl when it only says its version.
func recallLatency(t *testing.T, g *gateway) {
	out, _ := exec.Command(filepath.Join(programs, "recallctl"), "-c", g.conf, "--json", "list").Output()
	host, port, _ := net.SplitHostPort(g.redis.Addr)
	ctl, cli := filepath.Join(programs, "recallctl"), server.Program(t, "redis-cli")
	var recalls, pings, versions []time.Duration
	for n, line := range strings.Split(string(out), "\n") {
		_, id, _ := strings.Cut(line, `"id":"`)
		if id, _, _ = strings.Cut(id, `"`); id == "" || n == 200 {
			break
		}
		recalls = append(recalls, timed(t, ctl, "-c", g.conf, "recall", id))
		pings = append(pings, timed(t, cli, "-h", host, "-p", port, "ping"))
		versions = append(versions, timed(t, ctl, "--version"))
	}
	of := quantile(recalls, 50).Seconds() / quantile(pings, 50).Seconds()
	t.Logf("recallctl recall ID, as a process, with %d held: p50 %v, p99 %v; redis-cli ping: p50 %v, of it %.2f "+
		"(aim %.1f%s); recallctl --version: p50 %v", strings.Count(string(out), "\n"), quantile(recalls, 50),
		quantile(recalls, 99), quantile(pings, 50), of, ofPing, missed(of > ofPing), quantile(versions, 50))
}

// timed is how long a program takes from its start to its end.
func timed(t *testing.T, program string, args ...string) time.Duration {
	t.Helper()
	start := time.Now()
	if out, err := exec.Command(program, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %q: %v\n%s", program, args, err, out)
	}
	return time.Since(start)
}

func quantile(all []time.Duration, percent int) time.Duration {
	sorted := slices.Sorted(slices.Values(all))
	return sorted[min(len(sorted)-1, len(sorted)*percent/100)].Round(10 * time.Microsecond)
}

// lateness is how long after its due moment the port has a message, at 200 a second.
func lateness(t *testing.T, g *gateway) {
	g.change("grace = \"24h\"", "grace = \"5s\"")
	g.killDaemon()
	g.startDaemon()
	before := g.logged("release: ")
	const perSecond, seconds = 200, 10
	const aim = 100 * time.Millisecond
	tick := time.NewTicker(time.Second / perSecond * 10)
	for range perSecond * seconds / 10 {
		<-tick.C
		go source(t, g.mta.smtp, 2, 10, 4<<10)
	}
	tick.Stop()
	server.Eventually(t, "all are released",
		func() bool { return len(g.logged("release: "))-len(before) >= perSecond*seconds })
	var late []time.Duration
	for _, line := range g.logged("release: ")[len(before):] {
		_, text, _ := strings.Cut(line, "late=")
		text, _, _ = strings.Cut(text, ",")
		d, err := time.ParseDuration(text)
		if err != nil {
			t.Fatal(err)
		}
		late = append(late, d)
	}
	t.Logf("lateness at %d a second, from due to the port's 250: p50 %v, p99 %v (aim %v%s)", perSecond,
		quantile(late, 50), quantile(late, 99), aim, missed(quantile(late, 99) > aim))
}

// logged returns the daemon's log lines with a text.
func (g *gateway) logged(text string) []string {
	all, _ := os.ReadFile(g.log)
	var lines []string
	for _, line := range strings.Split(string(all), "\n") {
		if strings.Contains(line, text) {
			lines = append(lines, line)
		}
	}
	return lines
}

func (g *gateway) peakMemory() string { return peakOf(g.daemon.Process.Pid) }

// peakOf is the most memory that a running process has had resident.
func peakOf(pid int) string {
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	_, peak, _ := strings.Cut(string(status), "VmHWM:")
	peak, _, _ = strings.Cut(peak, "\n")
	return strings.TrimSpace(peak)
}
