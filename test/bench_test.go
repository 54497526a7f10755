//go:build bench

package test

import (
	"fmt"
	"io"
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

// peer is one way that a message can take into Postfix.
type peer struct {
	name string
	smtp string
}

// TestBench prints what "make bench" promises. Its numbers are only worth something next to each other: all peers run
// on the same machine, in turns, each against the same sink.
func TestBench(t *testing.T) {
	g := benchGateway(t)
	peers := g.peers(t)
	t.Run("into hold", func(t *testing.T) { intoHold(t, peers) })
	t.Run("recall", func(t *testing.T) { recallLatency(t, g) })
	t.Run("release", func(t *testing.T) { releaseRate(t, g) })
	t.Logf("daemon: %s resident at its peak", g.peakMemory())
}

// benchPrograms builds the programs as they are shipped: without the race detector.
func benchPrograms(t *testing.T) {
	dir := t.TempDir()
	build := exec.Command("go", "build", "-o", dir, "../cmd/...")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	programs = dir
}

// benchGateway is a gateway of them.
func benchGateway(t *testing.T) *gateway {
	benchPrograms(t)
	g := startGateway(t, "24h", "smtpd_client_connection_count_limit = 0", "default_process_limit = 200",
		"smtp_line_length_limit = 0")
	g.change("grace = ", "max_grace = \"48h\"\ngrace = ")
	g.killDaemon()
	g.startDaemon()
	return g
}

// peers starts what we are measured against, each with a Postfix of its own.
func (g *gateway) peers(t *testing.T) []peer {
	plain := server.StartPostfix(t, nothing(t, "accept"), g.sink.Addr, "smtpd_milters =", "defer_transports = smtp")
	discard := server.StartPostfix(t, nothing(t, "discard"), g.sink.Addr)
	hold := server.StartPostfix(t, nothing(t, "accept"), g.sink.Addr, "smtpd_milters =",
		"smtpd_recipient_restrictions = check_recipient_access static:HOLD, permit_mynetworks, reject")
	return []peer{{"recall-milter", g.mta.smtp}, {"(a) no milter", plain.SMTP}, {"(b) discarding milter", discard.SMTP},
		{"(c) Postfix HOLD", hold.SMTP}}
}

// nothing builds and starts the milter that does nothing.
func nothing(t *testing.T, verdict string) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "nothing")
	if out, err := exec.Command("cc", "-O2", "-o", program, "bench/nothing.c", "-lmilter",
		"-lpthread").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	addr := server.FreeAddr(t)
	host, port, _ := net.SplitHostPort(addr)
	startListening(t, addr, exec.Command(program, "inet:"+port+"@"+host, verdict))
	return addr
}

// startListening starts a program that listens at an address, and ends it with the test.
func startListening(t *testing.T, addr string, c *exec.Cmd) {
	t.Helper()
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Process.Kill(); c.Wait() })
	server.Eventually(t, "it listens at "+addr, func() bool {
		conn, err := net.Dial("tcp", addr)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
}

// intoHold measures messages per second in several rounds of turns, so that a busy moment meets all; the median counts.
func intoHold(t *testing.T, peers []peer) {
	const rounds = 3
	for _, size := range []int{4 << 10, 50 << 10, 1 << 20} {
		for _, sessions := range []int{1, 16, 50} {
			messages := map[int]int{4 << 10: 600, 50 << 10: 400, 1 << 20: 60}[size]
			if sessions == 1 {
				messages /= 3
			}
			rates := make([][]float64, len(peers))
			for range rounds {
				for n, p := range peers {
					rates[n] = append(rates[n], source(t, p.smtp, sessions, messages, size))
				}
			}
			line := fmt.Sprintf("%4d KB %2d sessions:", size>>10, sessions)
			for n, p := range peers {
				line += fmt.Sprintf("  %s %.0f/s", p.name, median(rates[n]))
			}
			t.Logf("%s  = %.2f of (b)", line, median(rates[0])/median(rates[2]))
		}
	}
}

// source sends with Postfix's own smtp-source and returns messages per second.
func source(t *testing.T, addr string, sessions, messages, size int) float64 {
	t.Helper()
	start := time.Now()
	out, err := exec.Command(server.Program(t, "smtp-source"), "-s", strconv.Itoa(sessions), "-m", strconv.Itoa(messages),
		"-l", strconv.Itoa(size),
		"-d", "-f", "a@corp.test", "-t", "b@x.test", addr).CombinedOutput()
	if err != nil {
		t.Errorf("smtp-source: %v\n%s", err, out) // also called outside the test's goroutine
	}
	return float64(messages) / time.Since(start).Seconds()
}

func median(all []float64) float64 {
	sorted := slices.Sorted(slices.Values(all))
	return sorted[len(sorted)/2]
}

// recallLatency measures recallctl as a whole process, next to the floor: a process that only says its version.
func recallLatency(t *testing.T, g *gateway) {
	out, _ := exec.Command(filepath.Join(programs, "recallctl"), "-c", g.conf, "--json", "list").Output()
	var recalls, floor []time.Duration
	for n, line := range strings.Split(string(out), "\n") {
		_, id, _ := strings.Cut(line, `"id":"`)
		if id, _, _ = strings.Cut(id, `"`); id == "" || n == 200 {
			break
		}
		recalls = append(recalls, timed(t, "-c", g.conf, "recall", id))
		floor = append(floor, timed(t, "--version"))
	}
	t.Logf("recallctl recall ID, as a process, with %d held: p50 %v, p99 %v; recallctl --version: p50 %v, p99 %v",
		strings.Count(string(out), "\n"), quantile(recalls, 50), quantile(recalls, 99), quantile(floor, 50),
		quantile(floor, 99))
}

func timed(t *testing.T, args ...string) time.Duration {
	c := exec.Command(filepath.Join(programs, "recallctl"), args...)
	c.Stdout = io.Discard
	start := time.Now()
	if err := c.Run(); err != nil {
		t.Fatalf("recallctl %q: %v", args, err)
	}
	return time.Since(start)
}

func quantile(all []time.Duration, percent int) time.Duration {
	sorted := slices.Sorted(slices.Values(all))
	return sorted[min(len(sorted)-1, len(sorted)*percent/100)].Round(100 * time.Microsecond)
}

// releaseRate releases all at once, next to smtp-source into the same port; then measures lateness at 200 a second.
func releaseRate(t *testing.T, g *gateway) {
	if out, err := exec.Command(filepath.Join(programs, "recallctl"), "-c", g.conf, "recall", "--all",
		"--yes").CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	const messages = 1000
	source(t, g.mta.smtp, 16, messages, 4<<10)
	before := g.logged("release: ")
	start := time.Now()
	if out, err := exec.Command(filepath.Join(programs, "recallctl"), "-c", g.conf, "release", "--all",
		"--yes").CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	server.Eventually(t, "all are released", func() bool { return len(g.logged("release: "))-len(before) >= messages })
	rate := messages / time.Since(start).Seconds()
	floor := source(t, g.mta.reinject, 8, messages, 4<<10)
	t.Logf("release of %d due at once: %.0f/s; smtp-source into the same port with 8 sessions: %.0f/s = %.2f of it",
		messages, rate, floor, rate/floor)

	g.change("grace = \"24h\"", "grace = \"5s\"")
	g.killDaemon()
	g.startDaemon()
	before = g.logged("release: ")
	const perSecond, seconds = 200, 10
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
	t.Logf("lateness at %d a second, from due to the port's 250: p50 %v, p99 %v", perSecond, quantile(late, 50),
		quantile(late, 99))
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
