package test

import (
	"context"
	"fmt"
	"net/smtp"
	"net/textproto"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/test/server"
)

// soakRate is how many messages a second the clients try to send: 8 minutes of it are 28,800, those of 8 hours at one a
// second.
const soakRate = 60

// soak is a gateway whose records live for seconds, under mail of every kind.
type soak struct {
	*gateway
	store  *holdstore.Store
	status string
	n      atomic.Int64
	taken  atomic.Int64
}

// sample is what may not grow.
type sample map[string]float64

// slack is how much each may grow in addition to a tenth: noise of the garbage collector and of what is under way.
var slack = sample{"RSS KB": 6 << 10, "goroutines": 10, "files": 10, "keys": 60, "keys without an end": 60,
	"Redis KB": 1 << 10}

func TestSoak(t *testing.T) {
	text := os.Getenv("SOAK")
	if text == "" {
		t.Skip("make soak runs it, for some minutes")
	}
	runFor, err := time.ParseDuration(text)
	if err != nil {
		t.Fatal(err)
	}
	s := startSoak(t)
	ctx, cancel := context.WithTimeout(t.Context(), runFor)
	defer cancel()
	var wg sync.WaitGroup
	beat := make(chan struct{})
	for range 12 {
		wg.Go(func() {
			for range beat {
				s.mail()
			}
		})
	}
	wg.Go(func() { s.beats(ctx, beat) })
	var samples []sample
	for ctx.Err() == nil {
		samples = append(samples, s.sample())
		holdOn(ctx, 2*time.Second)
	}
	wg.Wait()
	// a minute or more, until records end as fast as they are made
	samples = samples[min(len(samples), max(len(samples)/4, 30)):]
	first := s.judge(t, samples)
	server.Eventually(t, "nothing waits any more", s.holdsNothing)
	server.Eventually(t, "nothing is left of it", func() bool { return s.sample()["keys without an end"] < 10 })
	if now := s.sample(); now["goroutines"] > first["goroutines"]+slack["goroutines"] ||
		now["files"] > first["files"]+slack["files"] {
		t.Errorf("the daemon has nothing to do, and has %v; at the beginning of the load it had %v", now, first)
	}
}

func startSoak(t *testing.T) *soak {
	dir := t.TempDir()
	if out, err := buildShipped(dir, "../cmd/recall-milter").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	g := startOffice(t, "1s", `rate = "1000000/h"`, `retention = "5s"`, `answer_within = "2s"`, "[[hold.rule]]",
		`name = "hasty"`, `login = ["*"]`, `wish = "any"`, "[outbound]", "networks = []", "daemon_names = []",
		"[inbound]", `authserv_id = "gw.corp.test"`, `remember = "5s"`, `verify = []`)
	g.killDaemon()
	s := &soak{gateway: g, status: server.FreeAddr(t)}
	g.program = filepath.Join(dir, "recall-milter")
	g.change("[redis]", "record_retention = \"5s\"\n[redis]")
	g.change("listen = \"\"", "listen = \""+s.status+"\"")
	g.startDaemon()
	var err error
	s.store, err = holdstore.Open(holdstore.Options{Addresses: []string{g.redis.Addr}, Durability: "strict",
		RecordRetention: 5 * time.Second, RecallRetention: 5 * time.Second})
	g.must(err)
	t.Cleanup(func() { s.store.Close() })
	return s
}

// beats gives the clients the time, until ctx ends.
func (s *soak) beats(ctx context.Context, beat chan<- struct{}) {
	defer close(beat)
	tick := time.NewTicker(time.Second / soakRate)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			select {
			case beat <- struct{}{}:
			case <-ctx.Done():
				return
			}
		}
	}
}

// mail sends one message, of a kind that comes in turn.
func (s *soak) mail() {
	n := s.n.Add(1)
	id := fmt.Sprintf("s%d@corp.test", n)
	header, body := "Subject: s\r\nMessage-ID: <"+id+">\r\n", "body of "+id+"\r\n"
	switch n % 50 {
	case 1, 11, 21, 31, 41: // comes in from the world
		text := "From: x@far.test\r\nTo: bert@corp.test\r\n" + header + "\r\n" + body
		s.count(smtp.SendMail(s.mta.smtp, nil, "x@far.test", []string{"bert@corp.test"}, []byte(text)))
		return
	case 2: // several pieces
		body += strings.Repeat("a line of an attachment that is large\r\n", 16<<10)
	case 3: // the client goes away in the middle
		s.goesAway()
		return
	case 4: // leaves at once, by its sender's wish
		header += "X-Hold-For: 0\r\n"
	case 5: // a recall by mail, in time
		s.count(s.submit("anna", []string{"b@x.test"}, header, body))
		s.count(s.submit("anna", []string{recallAddress}, fmt.Sprintf("Subject: LAST\r\nMessage-ID: <c%d@corp.test>\r\n", n),
			"recall\r\n"))
		return
	case 6: // a corrected message
		header += fmt.Sprintf("Supersedes: <s%d@corp.test>\r\n", n-1)
	case 7, 17, 27, 37: // recalled, and some restored, by hand
		s.count(s.submit("anna", []string{"b@x.test"}, header, body))
		s.byHand(id, n%50 == 7)
		return
	case 8: // recalled after it was released: the recipients' gateway is asked
		s.count(s.submit("bert", []string{"b@x.test"}, header+"X-Hold-For: 0s\r\n", body))
		if holds, err := s.store.Resolve(context.Background(), fmt.Sprintf("s%d@corp.test", n-100)); err == nil &&
			len(holds) == 1 {
			s.submit("bert", []string{recallAddress},
				fmt.Sprintf("Subject: %s\r\nMessage-ID: <c%d@corp.test>\r\n", holds[0].ID, n), "recall\r\n")
		}
		return
	}
	s.count(s.submit("bert", []string{"b@x.test", "c@x.test"}, header, body))
}

func (s *soak) count(err error) {
	if err == nil {
		s.taken.Add(1)
	}
}

func (s *soak) goesAway() {
	c, err := textproto.Dial("tcp", s.mta.smtp)
	if err != nil {
		return
	}
	defer c.Close()
	c.ReadResponse(220)
	for _, line := range []string{"EHLO x", "MAIL FROM:<x@far.test>", "RCPT TO:<bert@corp.test>", "DATA"} {
		c.PrintfLine("%s", line)
		c.ReadResponse(0)
	}
	c.PrintfLine("Subject: half\r\n\r\nhalf")
}

func (s *soak) byHand(id string, restore bool) {
	by := holdstore.Actor{By: "soak"}
	holds, err := s.store.Resolve(context.Background(), id)
	if err != nil || len(holds) != 1 {
		return
	}
	if _, err = s.store.Recall(context.Background(), holds[0].ID, by); err == nil && restore {
		s.store.Restore(context.Background(), holds[0].ID, by)
	}
}

var number = regexp.MustCompile(`-?[0-9.]+(e[+-]?[0-9]+)?`)

// sample looks at the daemon and at Redis.
func (s *soak) sample() sample {
	_, metrics := s.get(s.status, "/metrics")
	metric := func(name string) float64 {
		_, rest, _ := strings.Cut(metrics, "\n"+name+" ")
		v, _ := strconv.ParseFloat(number.FindString(rest), 64)
		return v
	}
	redis := func(text, name string) float64 {
		_, rest, _ := strings.Cut(text, name)
		v, _ := strconv.ParseFloat(number.FindString(rest), 64)
		return v
	}
	keyspace := s.redis.Do("INFO keyspace")
	trail := redis(s.redis.Do("MEMORY USAGE recall:{mh0}:log"), ":") // has a bound of its own, far beyond this
	unheld := float64(s.kinds()["out"])                              // has a bound as well: so many numbers a day
	return sample{
		"RSS KB": metric("process_resident_memory_bytes") / 1024, "goroutines": metric("go_goroutines"),
		"files": metric("process_open_fds"),
		"keys":  redis(keyspace, "keys=") - unheld,

		"keys without an end": redis(keyspace, "keys=") - redis(keyspace, "expires="),
		"Redis KB":            (redis(s.redis.Do("INFO memory"), "used_memory:") - trail) / 1024,
	}
}

// judge compares the thirds of the run by their lower quartiles, and returns the first: what is busy comes and goes
// with the load of the machine, and what leaks stays.
func (s *soak) judge(t *testing.T, samples []sample) (first sample) {
	first = sample{}
	t.Logf("%d messages were taken in %d samples", s.taken.Load(), len(samples))
	if len(samples) < 30 || s.taken.Load() < int64(len(samples))*soakRate {
		t.Errorf("too few to judge")
		return first
	}
	third := len(samples) / 3
	for name, more := range slack {
		var low []float64
		for n := range 3 {
			var values []float64
			for _, sample := range samples[n*third : (n+1)*third] {
				values = append(values, sample[name])
			}
			slices.Sort(values)
			low = append(low, values[len(values)/4])
		}
		t.Logf("%-20s lower quartiles of the thirds: %.0f, %.0f, %.0f", name, low[0], low[1], low[2])
		first[name] = low[0]
		if low[0] == 0 || low[2] > low[0]*1.1+more {
			t.Errorf("%s grows: %.0f", name, low)
		}
	}
	if t.Failed() {
		t.Logf("keys by kind: %v", s.kinds())
	}
	return first
}

var kindOfKey = regexp.MustCompile(`^(in:)?[a-z]+`)

// kinds counts the keys of Redis by what they are for.
func (s *soak) kinds() map[string]int {
	count := map[string]int{}
	out, _ := exec.Command("redis-cli", "-p", s.redis.Addr[strings.LastIndexByte(s.redis.Addr, ':')+1:], "--scan").Output()
	for name := range strings.Lines(string(out)) {
		_, rest, _ := strings.Cut(name, "}:")
		count[kindOfKey.FindString(rest)]++
	}
	return count
}
