//go:build bench

package test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/test/server"
)

// fullStore is a store with all the holds that BENCH_HOLDS asks for, the programs that work on it, and what arrived.
type fullStore struct {
	*storeBench
	g        *gateway
	sink     *server.Sink
	arrived  []atomic.Int32 // by the number of a message: how often it came
	total    atomic.Int64   // of these
	empty    int            // bytes of Redis before the first hold
	overhead float64        // bytes of Redis for a hold, without its content
	each     float64        // the same with the content
	record   float64        // bytes of Redis for the record of a released hold
}

// TestBenchMillion makes BENCH_HOLDS holds, a million if nothing is said, and has the programs list, search, recall and
// release them. Each must either be recalled or arrive, once. It ends with what a site of BENCH_RATE messages a second,
// of BENCH_SIZE kilobytes, with BENCH_GRACE and BENCH_RETENTION needs.
func TestBenchMillion(t *testing.T) {
	f := newFullStore(t, setting(t, "BENCH_HOLDS", 1_000_000, strconv.Atoi))
	f.make()
	f.look()
	f.ctl(nil, "recall", "--login", "mallory", "--yes")
	f.ctl(nil, "release", "--all", "--yes")
	f.release()
	f.account()
	f.sizing()
}

// setting reads a value from the environment.
func setting[T any](t *testing.T, name string, usual T, parse func(string) (T, error)) T {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return usual
	}
	value, err := parse(text)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return value
}

func newFullStore(t *testing.T, holds int) *fullStore {
	f := &fullStore{storeBench: newStoreBench(t), arrived: make([]atomic.Int32, holds+1)}
	f.sink = server.StartSinkFor(t, f.took)
	f.sink.Answer(func(line string) string {
		if strings.HasPrefix(line, "EHLO") {
			return "250-sink\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SIZE" // as an MTA's port does
		}
		return ""
	})
	dir := t.TempDir()
	f.g = &gateway{t: t, conf: filepath.Join(dir, "recall-milter.toml"), log: filepath.Join(dir, "log"),
		milter: server.FreeAddr(t), redis: f.redis}
	f.g.mta = ofPostfix(server.StartPostfix(t, f.g.milter, f.sink.Addr, "smtpd_milters ="))
	text := fmt.Sprintf("%s\n[redis]\naddresses = [%q]\n[release]\nsmtp = %q\n[http]\nlisten = \"\"\n",
		listenLine(f.g.milter), f.redis.Addr, f.g.mta.reinject)
	f.g.must(os.WriteFile(f.g.conf, []byte(text), 0o600))
	t.Cleanup(f.end)
	return f
}

// end kills the daemon, if it still runs.
func (f *fullStore) end() {
	if f.g.daemon != nil {
		f.g.daemon.Process.Kill()
		f.g.daemon.Wait()
	}
}

// took counts what arrives.
func (f *fullStore) took(d server.Delivery) {
	_, rest, _ := bytes.Cut(d.Data, []byte("\r\nMessage-ID: "))
	id, _, _ := bytes.Cut(rest, []byte("\r\n"))
	n := numberOf(string(id))
	if n < 1 || n >= len(f.arrived) {
		f.Errorf("something arrived that is none of the messages held: Message-ID %q", id)
		return
	}
	f.arrived[n].Add(1)
	f.total.Add(1)
}

// numberOf is the number that storeBench.hold put into a Message-ID; 0: it has none.
func numberOf(messageID string) int {
	text, _, _ := strings.Cut(strings.TrimPrefix(messageID, "<"), ".")
	n, _ := strconv.Atoi(text)
	return n
}

// holds is how many messages there are.
func (f *fullStore) holds() int { return len(f.arrived) - 1 }

func (f *fullStore) count(state holdstore.State) int {
	s, err := f.store.Stats(context.Background())
	if err != nil {
		f.Fatal(err)
	}
	return s.Count[state]
}

// make holds the messages, and weighs them.
func (f *fullStore) make() {
	f.empty = f.memory()
	for tenth := range 10 {
		f.fill(f.holds() * (tenth + 1) / 10)
	}
	if held := f.waiting(); held != f.holds() {
		f.Fatalf("%d held instead of %d", held, f.holds())
	}
	f.each = float64(f.memory()-f.empty) / float64(f.holds())
	f.overhead = f.each - f.content()
	f.Logf("%d held: %.0f bytes of Redis's memory for each, %.0f of them not its content", f.holds(), f.each, f.overhead)
}

// content is how many bytes a piece of content takes as it is stored, by a sample; each message here is one piece.
func (f *fullStore) content() float64 {
	ctx, sum, pieces := context.Background(), 0, 0
	for cursor := uint64(0); pieces < 1000; {
		names, next, err := f.plain.Scan(ctx, cursor, "*:b:*", 1000).Result()
		f.g.must(err)
		for _, name := range names {
			size, err := f.plain.StrLen(ctx, name).Result()
			f.g.must(err)
			sum, pieces = sum+int(size), pieces+1
		}
		if cursor = next; cursor == 0 {
			break
		}
	}
	if pieces == 0 {
		f.Fatal("the store has no content")
	}
	return float64(sum) / float64(pieces)
}

// look lists and searches: by what an index knows, and by what only a look at all of them tells.
func (f *fullStore) look() {
	for _, search := range []struct {
		found int
		args  []string
	}{
		{f.holds(), nil},
		{f.every(200_000, 17), []string{"--recipient", "person17@far17.test"}},
		{f.every(250, 17), []string{"--client", "192.0.2.17"}},
		{0, []string{"--subject", "no such subject"}},
	} {
		if found := f.ctl(nil, append([]string{"--json", "list"}, search.args...)...); found != search.found {
			f.Errorf("recallctl list %q shows %d instead of %d", search.args, found, search.found)
		}
	}
}

// every counts the numbers of messages that leave a rest when they are divided.
func (f *fullStore) every(by, rest int) int { return (f.holds() - rest + by) / by }

// ctl runs recallctl as a process, gives each line of its output to line, which may be nil, and returns how many there
// were.
func (f *fullStore) ctl(line func([]byte), args ...string) (lines int) {
	f.Helper()
	var words bytes.Buffer
	c := exec.Command(filepath.Join(programs, "recallctl"), append([]string{"-c", f.g.conf}, args...)...)
	c.Stderr = &words
	out, err := c.StdoutPipe()
	f.g.must(err)
	start := time.Now()
	f.g.must(c.Start())
	for all := bufio.NewScanner(out); all.Scan(); lines++ {
		if line != nil {
			line(all.Bytes())
		}
	}
	c.Wait()
	if code := c.ProcessState.ExitCode(); code != 0 && (code != 1 || lines > 0) { // 1: nothing matched
		f.Fatalf("recallctl %q: exit %d after %d lines\n%s", args, code, lines, words.String())
	}
	f.Logf("recallctl %s: %d lines in %v, %d MB at its peak; %s", strings.Join(args, " "), lines,
		time.Since(start).Round(time.Millisecond),
		c.ProcessState.SysUsage().(*syscall.Rusage).Maxrss>>10, strings.TrimSpace(words.String()))
	return lines
}

// release has the daemon send what is due: a hundredth through Postfix, which takes far fewer a second, and the others
// to the sink.
func (f *fullStore) release() {
	due := f.waiting()
	f.daemon("Postfix", min(f.holds()/100, due))
	sent := f.count(holdstore.Released)
	server.Eventually(f.T, "Postfix has brought all that it took", func() bool { return int(f.total.Load()) >= sent })
	f.g.change(f.g.mta.reinject, f.sink.Addr)
	f.daemon("a sink", due)
	f.record = float64(f.memory()-f.empty-int(f.each*float64(f.count(holdstore.Recalled)))) /
		float64(f.count(holdstore.Released))
	f.Logf("%.0f bytes of Redis's memory for the record of a released message", f.record)
	f.Logf("Redis: %s resident at its peak", peakOf(f.redis.PID()))
}

// stride is after how many releases a line says so.
const stride = 20_000

// daemon runs the daemon until so many are released altogether, and ends it in order.
func (f *fullStore) daemon(port string, want int) {
	before, start := f.count(holdstore.Released), time.Now()
	f.g.startDaemon()
	for done := before; done < want; {
		next := min(done+stride, want)
		server.Eventually(f.T, fmt.Sprintf("%d are released", next), func() bool {
			done = f.count(holdstore.Released)
			return done >= next
		})
		f.Logf("%d of %d released after %v", done, want, time.Since(start).Round(time.Second))
	}
	took, peak := time.Since(start), f.g.peakMemory()
	f.Logf("released to %s: %.0f/s; daemon: %s resident at its peak", port, float64(want-before)/took.Seconds(), peak)
	f.g.must(f.g.daemon.Process.Signal(syscall.SIGTERM))
	if err := f.g.daemon.Wait(); err != nil {
		f.Fatalf("the daemon does not end in order: %v", err)
	}
}

// account looks at each message: recalled and never sent, or sent once.
func (f *fullStore) account() {
	recalled := make([]bool, len(f.arrived))
	f.ctl(func(line []byte) {
		var h struct {
			MessageID string `json:"message_id"`
		}
		f.g.must(json.Unmarshal(line, &h))
		recalled[numberOf(h.MessageID)] = true
	}, "--json", "list", "--state", "recalled")
	var back, once, lost, twice, both int
	for n := 1; n < len(f.arrived); n++ {
		switch came := f.arrived[n].Load(); {
		case recalled[n] && came > 0:
			both++
		case recalled[n]:
			back++
		case came == 0:
			lost++
		case came > 1:
			twice++
		default:
			once++
		}
	}
	f.Logf("of %d messages %d were recalled and never sent, %d arrived once, %d more than once, %d were recalled and "+
		"sent, %d lost", f.holds(), back, once, twice, both, lost)
	if back == 0 || once == 0 || twice+both+lost > 0 {
		f.Error("each must be recalled, or arrive once")
	}
}

// sizing says what a site needs, by the formula of docs/sizing.md with what was measured here.
func (f *fullStore) sizing() {
	number := func(text string) (float64, error) { return strconv.ParseFloat(text, 64) }
	rate, size := setting(f.T, "BENCH_RATE", 20, number), setting(f.T, "BENCH_SIZE", 50, number)
	grace := setting(f.T, "BENCH_GRACE", 2*time.Minute, time.ParseDuration)
	retention := setting(f.T, "BENCH_RETENTION", 24*time.Hour, time.ParseDuration)
	held, records := rate*grace.Seconds(), rate*retention.Seconds()
	const mega = 1 << 20
	waiting, kept := held*(f.overhead+size*1024)/mega, records*f.record/mega
	f.Logf("a site with %g messages a second of %g KB, grace %v, records %v: %.0f held take %.0f MB, %.0f records %.0f "+
		"MB, together %.0f MB; maxmemory = \"%.0fmb\"",
		rate, size, grace, retention, held, waiting, records, kept, waiting+kept, 2*(waiting+kept))
}
