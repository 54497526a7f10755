//go:build bench

package test

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/test/server"
)

// Aims of the hold path, as parts of what the peers do.
const (
	ofDurable     = 0.9 // of a C milter that writes each message to a file and syncs it
	ofPostfixHold = 0.8
)

// peer is one way in which a gateway keeps mail back: a Postfix, and the milter behind it.
type peer struct {
	name  string
	aim   float64           // the least that the daemon should do of its rate; 0: none
	ports map[string]string // of Postfix, by how it reaches the milter
	pids  [][]int           // of the milter, and then of what it needs
	empty func()            // throws away what it keeps
}

// cell is one kind of load.
type cell struct {
	transport      string
	size, sessions int
}

// TestBenchHold compares the hold path with the least that a durable hold can do, and with Postfix's own. The content
// hardly compresses, as attachments do. What a run takes is about the same for all peers, so a slow one sends less.
func TestBenchHold(t *testing.T) {
	peers := holdPeers(t)
	for _, transport := range []string{"unix", "tcp"} {
		for _, size := range []int{4 << 10, 50 << 10, 1 << 20} {
			for _, sessions := range []int{1, 16, 50} {
				compareHolds(t, peers, cell{transport, size, sessions})
			}
		}
		compareHolds(t, peers, cell{transport, largeSize, 16})
	}
	largeMail(t, peers)
}

// holdPeers starts recall-milter and what it is measured against, each with a Postfix of its own. BENCH_BEFORE is the
// path of another recall-milter, which is then measured as well.
func holdPeers(t *testing.T) []*peer {
	settings := []string{"smtpd_client_connection_count_limit = 0", "default_process_limit = 200",
		"smtp_line_length_limit = 0", "defer_transports = smtp"}
	peers := []*peer{ourHold(t, "recall-milter", "", settings), durableHold(t, settings), postfixHold(t, settings),
		plainHold(t, settings)}
	if before := os.Getenv("BENCH_BEFORE"); before != "" {
		peers = append(peers, ourHold(t, "the version before", before, settings))
	}
	return peers
}

// ourHold is the daemon with a Redis of the packages' settings, reached as packages do: by a unix socket. An empty
// program is the one of this tree.
func ourHold(t *testing.T, name, program string, settings []string) *peer {
	dir := socketDir(t)
	store := filepath.Join(dir, "store")
	redis := server.StartRedis(t, append(packagedSettings(t), "--unixsocket", store, "--maxmemory", "16gb")...)
	g := &gateway{t: t, conf: filepath.Join(dir, "recall-milter.toml"), log: filepath.Join(dir, "log"),
		milter: server.FreeAddr(t), redis: redis, program: program}
	host, port, _ := strings.Cut(g.milter, ":")
	socket := filepath.Join(dir, "milter")
	g.must(os.WriteFile(g.conf, fmt.Appendf(nil, "listen = [\"inet:%s@%s\", \"unix:%s\"]\nsocket_mode = \"0666\"\n"+
		"[redis]\naddresses = [\"unix:%s\"]\n[hold]\ngrace = \"24h\"\n[http]\nlisten = \"\"\n", port, host, socket, store),
		0o600))
	g.startDaemon()
	t.Cleanup(g.killDaemon)
	postfix := server.StartPostfix(t, g.milter, g.milter, append(settings, "own_milters = unix:"+socket)...)
	p := &peer{name: name, ports: map[string]string{"tcp": postfix.SMTP, "unix": postfix.Own}}
	p.pids = [][]int{{g.daemon.Process.Pid}, {redis.PID()}}
	p.empty = func() {
		g.killDaemon()
		redis.Do("FLUSHALL")
		g.startDaemon()
		p.pids[0] = []int{g.daemon.Process.Pid}
	}
	return p
}

// durableHold is a milter in C that syncs a file for each message.
func durableHold(t *testing.T, settings []string) *peer {
	files := t.TempDir()
	p := startDurable(t, files, settings)
	p.name, p.aim = "durable milter", ofDurable
	p.empty = func() {
		all, _ := filepath.Glob(filepath.Join(files, "*"))
		for _, file := range all {
			os.Remove(file)
		}
	}
	return p
}

// plainHold is the same milter with one SET for each message, into a Redis as the daemon has it: what is possible for
// a milter that keeps its mail in Redis.
func plainHold(t *testing.T, settings []string) *peer {
	store := filepath.Join(socketDir(t), "store")
	redis := server.StartRedis(t, append(packagedSettings(t), "--unixsocket", store, "--maxmemory", "16gb")...)
	p := startDurable(t, "redis:"+store, settings)
	p.name = "a milter in C with one SET for each"
	p.pids = append(p.pids, []int{redis.PID()})
	p.empty = func() { redis.Do("FLUSHALL") }
	return p
}

// startDurable starts the milter in C, which keeps its messages in a folder or in Redis, with a Postfix of its own.
func startDurable(t *testing.T, keeps string, settings []string) *peer {
	addr, socket := server.FreeAddr(t), filepath.Join(socketDir(t), "milter")
	host, port, _ := strings.Cut(addr, ":")
	program := compiled(t, "durable")
	tcp, unix := exec.Command(program, "inet:"+port+"@"+host, keeps), exec.Command(program, "unix:"+socket, keeps)
	startListening(t, addr, tcp)
	startListening(t, socket, unix)
	if err := os.Chmod(socket, 0o666); err != nil {
		t.Fatal(err)
	}
	postfix := server.StartPostfix(t, addr, addr, append(settings, "own_milters = unix:"+socket)...)
	return &peer{ports: map[string]string{"tcp": postfix.SMTP, "unix": postfix.Own},
		pids: [][]int{{tcp.Process.Pid, unix.Process.Pid}}}
}

// postfixHold is Postfix's own HOLD, without a milter.
func postfixHold(t *testing.T, settings []string) *peer {
	postfix := server.StartPostfix(t, "127.0.0.1:9", "127.0.0.1:9", append(settings, "smtpd_milters =",
		"smtpd_recipient_restrictions = check_recipient_access static:HOLD, permit_mynetworks, reject")...)
	return &peer{name: "Postfix HOLD", aim: ofPostfixHold,
		ports: map[string]string{"tcp": postfix.SMTP, "unix": postfix.SMTP},
		empty: func() {
			out, err := exec.Command(server.Program(t, "postsuper"), "-c", filepath.Join(postfix.Dir, "conf"), "-d",
				"ALL").CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
		}}
}

// socketDir is a folder that Postfix's own user can reach.
func socketDir(t *testing.T) string {
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// compareHolds runs one cell in turns. Each ratio is of two runs of the same round; the median counts.
func compareHolds(t *testing.T, peers []*peer, c cell) {
	content := mailFile(t, c.size)
	messages, rates, costs := make([]int, len(peers)), make([][]float64, len(peers)), make([][][]float64, len(peers))
	for n, p := range peers {
		p.empty()
		messages[n] = messagesFor(t, p.ports[c.transport], c.sessions, content)
		costs[n] = make([][]float64, len(p.pids))
	}
	for round := range holdRounds {
		for turn := range peers {
			n := (round + (turn+1)/2) % len(peers)
			if turn%2 == 0 {
				n = (round + len(peers) - turn/2) % len(peers)
			}
			p := peers[n]
			var before []time.Duration
			for _, pids := range p.pids {
				before = append(before, processorTime(t, pids))
			}
			rates[n] = append(rates[n], sourceFile(t, p.ports[c.transport], c.sessions, messages[n], content))
			for i, pids := range p.pids {
				took := processorTime(t, pids) - before[i]
				costs[n][i] = append(costs[n][i], took.Seconds()*1000/float64(messages[n]))
			}
		}
	}
	line := fmt.Sprintf("%s, %2d sessions, %s: %s %.0f/s", kilobytes(c.size), c.sessions, c.transport, peers[0].name,
		median(rates[0]))
	cost := ""
	for n, p := range peers {
		if n > 0 {
			line += fmt.Sprintf("; %s %.0f/s, of it %s", p.name, median(rates[n]), against(ratio(rates[0], rates[n]), p.aim))
		}
		for i, of := range costs[n] {
			cost += fmt.Sprintf("%s %.2f ms", map[bool]string{true: "; " + p.name, false: " +"}[i == 0], median(of))
		}
	}
	t.Logf("%s (the durable milter of Postfix HOLD: %.2f; one SET for each of the durable milter: %.2f); processor a "+
		"message, with Redis behind the +: %s", line, ratio(rates[1], rates[2]), ratio(rates[3], rates[1]),
		strings.TrimPrefix(cost, "; "))
}

// ratio is the median of the ratios of two runs each.
func ratio(ours, theirs []float64) float64 {
	var all []float64
	for n := range ours {
		all = append(all, ours[n]/theirs[n])
	}
	return median(all)
}

// against says a figure with what it should be at least; 0: no matter what.
func against(figure, aim float64) string {
	if aim == 0 {
		return fmt.Sprintf("%.2f", figure)
	}
	return fmt.Sprintf("%.2f (aim %.1f%s)", figure, aim, missed(figure < aim))
}

// missed says that an aim was missed.
func missed(yes bool) string {
	if yes {
		return ", missed"
	}
	return ""
}

func kilobytes(size int) string {
	if size >= 1<<20 {
		return fmt.Sprintf("%2d MB", size>>20)
	}
	return fmt.Sprintf("%2d KB", size>>10)
}

// holdRounds is how often each peer runs. Each of four peers then runs once right after each other one, since what runs
// after another one finds the disk still writing what that one left.
const holdRounds = 4

// runTime is about how long one run of a cell takes; of large messages each session sends at least one.
const runTime = time.Second

// messagesFor finds out how many messages a run needs, and has the servers start what processes they need.
func messagesFor(t *testing.T, addr string, sessions int, content string) (n int) {
	n = sessions
	for start := time.Now(); time.Since(start) < runTime; {
		n = max(int(sourceFile(t, addr, sessions, n, content)*runTime.Seconds()), sessions)
	}
	return n
}

// sourceFile is source with the message of a file.
func sourceFile(t *testing.T, addr string, sessions, messages int, file string) float64 {
	t.Helper()
	start := time.Now()
	out, err := exec.Command(server.Program(t, "smtp-source"), "-s", strconv.Itoa(sessions), "-m", strconv.Itoa(messages),
		"-F", file, "-d", "-f", "a@corp.test", "-t", "b@x.test", addr).CombinedOutput()
	if err != nil {
		t.Fatalf("smtp-source: %v\n%s", err, out)
	}
	return float64(messages) / time.Since(start).Seconds()
}

// mailFile is a message as smtp-source takes it, with base64 that hardly compresses.
func mailFile(t *testing.T, size int) string {
	noise := make([]byte, size/78*57+57) // 57 bytes are a line of 76 with its end
	rand.Read(noise)
	var text bytes.Buffer
	text.WriteString("From: a@corp.test\nTo: b@x.test\nSubject: The minutes of the meeting\n\n")
	for line := noise; len(line) >= 57; line = line[57:] {
		text.WriteString(base64.StdEncoding.EncodeToString(line[:57]) + "\n")
	}
	file := filepath.Join(t.TempDir(), "mail")
	if err := os.WriteFile(file, text.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// processorTime is what some processes have taken so far.
func processorTime(t *testing.T, pids []int) (all time.Duration) {
	const tick = time.Second / 100 // of utime and stime, proc(5)
	for _, pid := range pids {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			t.Fatal(err)
		}
		fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
		user, wrong := strconv.Atoi(fields[11])
		system, err := strconv.Atoi(fields[12])
		if err := cmp.Or(wrong, err); err != nil {
			t.Fatal(err)
		}
		all += time.Duration(user+system) * tick
	}
	return all
}
