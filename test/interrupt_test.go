package test

import (
	"bytes"
	"errors"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/test/server"
)

// stall keeps a recall of many from coming to its end.
type stall struct{ begin, end func() }

// stalledSingle is a Redis that gets a few batches of a recall, and then no more.
func stalledSingle(t *testing.T) (*desk, stall) {
	redis, proxy := server.StartRedis(t), server.StartProxy(t)
	proxy.To(redis.Addr)
	d := deskAt(t, []string{redis.Addr}, []string{proxy.Addr})
	server.Eventually(t, "redis has the script: else each batch comes twice", func() bool {
		_, err := d.store.Recall(t.Context(), "2222222222222", holdstore.Actor{})
		return errors.Is(err, holdstore.ErrNotFound)
	})
	var goOn chan struct{}
	return d, stall{
		begin: func() {
			var batches atomic.Int32
			wait := make(chan struct{})
			goOn = wait
			t.Cleanup(func() {
				select {
				case <-wait:
				default:
					close(wait)
				}
			})
			proxy.Watched(func(_ int, toServer bool, piece []byte) bool {
				if toServer && bytes.Contains(piece, []byte(`"recalled"`)) && batches.Add(1) > 3 {
					<-wait
				}
				return true
			})
		},
		end: func() { close(goOn); proxy.Watched(nil) },
	}
}

// stalledCluster is a Cluster of which one server writes nothing.
func stalledCluster(t *testing.T) (*desk, stall) {
	d := startDesk(t)
	slow := d.cluster.Masters()[1]
	return d, stall{func() { slow.Do("CLIENT PAUSE 3600000 WRITE") }, func() { slow.Do("CLIENT UNPAUSE") }}
}

// A recall of many is interrupted in the middle, by Ctrl-C or by its death. The same command finishes it: each message
// is recalled once, and what each command says that it did, the audit trail says as well.
func TestARecallOfManyGoesOnWhereItWasInterrupted(t *testing.T) {
	t.Parallel()
	messages := 1500
	if os.Getenv("TORTURE") != "" {
		messages = 100_000
	}
	for name, start := range map[string]func(*testing.T) (*desk, stall){"single": stalledSingle,
		"cluster": stalledCluster} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, s := start(t)
			for _, sig := range []os.Signal{os.Interrupt, os.Kill} {
				sender := strings.Fields(sig.String())[0] + "@corp.test"
				d.holds(sender, messages)
				began := time.Now()
				d.interrupted(s, sig, sender, messages)
				t.Logf("%v: %d messages in %v", sig, messages, time.Since(began).Round(time.Millisecond))
			}
		})
	}
}

var countWords = regexp.MustCompile(`(?m)(?:^|: )(?:recalled (\d+) messages?$|(\d+) recalled,` +
	`|(\d+) of \d+ messages recalled, then)`)

// counted is what recallctl says that it has recalled.
func counted(words string) (n int) {
	for _, m := range countWords.FindAllStringSubmatch(words, -1) {
		n, _ = strconv.Atoi(m[1] + m[2] + m[3])
	}
	return n
}

// interrupted interrupts a recall, and gives it again until all is done.
func (d *desk) interrupted(s stall, sig os.Signal, sender string, messages int) {
	d.t.Helper()
	before := d.recalled()
	var words bytes.Buffer
	first := d.command("recall", "--sender", sender, "--yes", "--reason", "first "+sender)
	first.Stderr = &words
	s.begin()
	if err := first.Start(); err != nil {
		d.t.Fatal(err)
	}
	server.Eventually(d.t, "some are recalled", func() bool { return d.recalled() > before })
	first.Process.Signal(sig)
	if sig == os.Kill {
		first.Wait()
		s.end()
	} else {
		s.end() // what it had begun is ended
		first.Wait()
	}
	d.t.Logf("%v: exit %d: %s", sig, first.ProcessState.ExitCode(), words.String())
	said := counted(words.String())
	again := d.finishes(sender, "second "+sender)
	trail := d.trail()
	if n := trail["first "+sender]; sig == os.Interrupt && n != said &&
		!strings.Contains(words.String(), "the answer never came") || n == 0 || n >= messages {
		d.t.Errorf("%v: the trail says that %d were recalled by the first command, which says\n%s", sig, n, words.String())
	}
	if n := trail["second "+sender]; n != again || n+trail["first "+sender] != messages {
		d.t.Errorf("%v: the trail says %d and %d of %d; the second command says %d", sig, trail["first "+sender], n,
			messages, again)
	}
}

// recalled counts what is recalled in all.
func (d *desk) recalled() (n int) {
	d.t.Helper()
	server.Eventually(d.t, "the whole store can be counted", func() bool {
		s, err := d.store.Stats(d.t.Context())
		n = s.Count[holdstore.Recalled]
		return err == nil
	})
	return n
}

// finishes gives a recall until nothing is left for it, and returns what it says that it did.
func (d *desk) finishes(sender, reason string) (said int) {
	d.t.Helper()
	server.Eventually(d.t, "nothing is left to recall", func() bool {
		var words bytes.Buffer
		c := d.command("recall", "--sender", sender, "--yes", "--reason", reason)
		c.Stderr = &words
		c.Run()
		said += counted(words.String())
		return c.ProcessState.ExitCode() == 0
	})
	return said
}

// trail counts the recalls of each reason; one that was recalled twice is an error.
func (d *desk) trail() map[string]int {
	d.t.Helper()
	count, seen := map[string]int{}, map[string]bool{}
	for e, err := range d.store.Log(d.t.Context(), time.Time{}, false) {
		if err != nil {
			d.t.Fatal(err)
		}
		if count[e.Reason]++; seen[e.ID] {
			d.t.Errorf("%s was recalled twice", e.ID)
		}
		seen[e.ID] = true
	}
	return count
}
