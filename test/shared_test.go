package test

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/test/server"
)

// neighbour starts another daemon on the store of a gateway, with the same re-injection port.
func (g *gateway) neighbour(t *testing.T) *gateway {
	t.Helper()
	dir := t.TempDir()
	n := &gateway{t: t, conf: filepath.Join(dir, "recall-milter.toml"), log: filepath.Join(dir, "log"),
		milter: server.FreeAddr(t),
		redis:  g.redis, mta: g.mta, sink: g.sink}
	g.must(exec.Command("cp", g.conf, n.conf).Run())
	n.change(listenLine(g.milter), listenLine(n.milter))
	n.startDaemon()
	t.Cleanup(n.killDaemon)
	return n
}

func TestTwoGatewaysOnOneStoreSendEachMessageOnce(t *testing.T) {
	t.Parallel()
	g, port := startGatewayTo(t, "1s")
	n := g.neighbour(t)
	const messages = 150
	for m := range messages {
		g.mustSend(fmt.Sprintf("m%d@corp.test", m))
	}
	server.Eventually(t, "all have left", g.holdsNothing)
	for id, times := range arrivals(port) {
		if times != 1 {
			t.Errorf("%s arrived %d times", id, times)
		}
	}
	if got := len(port.Got()); got != messages {
		t.Errorf("%d of %d arrived", got, messages)
	}
	server.Eventually(t, "both have sent", func() bool { // one of them may have been the faster every time
		both := n.has(" release: ") && g.has(" release: ")
		if !both {
			g.mustSend("more@corp.test")
		}
		return both
	})
}

// takenOver bounds how long after the end of a lease another gateway sends: it looks every 5 seconds, and machines
// under load need some more.
const takenOver = time.Minute

// leaseEnd is when the lease of the only message that is being sent ends, by Redis's clock, which is ours.
func (g *gateway) leaseEnd() time.Time {
	g.t.Helper()
	lines := strings.Fields(g.redis.Do("ZRANGE recall:{mh0}:z:releasing 0 -1 WITHSCORES"))
	ms, err := strconv.ParseInt(lines[len(lines)-1], 10, 64)
	if err != nil || len(lines) != 5 {
		g.t.Fatalf("being sent: %q", lines)
	}
	return time.UnixMilli(ms)
}

// A gateway that stops while it sends is taken over when its lease ends, and not before. When it goes on, it does not
// send as well; when it is dead, nothing is lost.
func TestAGatewayThatStopsIsTakenOver(t *testing.T) {
	t.Parallel()
	for _, kill := range []bool{true, false} {
		t.Run(map[bool]string{true: "killed", false: "stopped"}[kill], func(t *testing.T) {
			t.Parallel()
			g, port := startGatewayTo(t, "1s")
			var first atomic.Bool
			reached, goOn, again := make(chan bool, 1), make(chan bool), make(chan time.Time, 100)
			port.Answer(func(line string) string {
				if line == "DATA" && first.CompareAndSwap(false, true) {
					reached <- true
					<-goOn
				} else if line == "DATA" {
					again <- time.Now()
				}
				return ""
			})
			g.mustSend("m@corp.test")
			<-reached
			n := g.neighbour(t)
			if kill {
				g.daemon.Process.Kill()
				g.daemon.Wait()
			} else {
				g.daemon.Process.Signal(syscall.SIGSTOP)
			}
			end := g.leaseEnd()
			server.Eventually(t, "the other sends it", func() bool { return arrivedAt(port, "m@corp.test") == 1 })
			late := (<-again).Sub(end)
			if t.Logf("taken over %v after the end of the lease", late); late < 0 || late > takenOver {
				t.Errorf("taken over %v after the end of the lease, want 0 to %v", late, takenOver)
			}
			n.said("<m@corp.test>")
			close(goOn)
			if !kill {
				g.daemon.Process.Signal(syscall.SIGCONT)
				g.said("the outcome could not be written")
			}
			if got := arrivedAt(port, "m@corp.test"); got != 1 {
				t.Errorf("it arrived %d times", got)
			}
		})
	}
}

// Somebody changes a running Redis: within ten seconds nothing is held there that it could lose.
func TestASettingThatCouldLoseMailIsNoticedWhileMailComesIn(t *testing.T) {
	t.Parallel()
	g := startGateway(t, "1h")
	g.mustSend("before@corp.test")
	g.redis.Do("CONFIG SET appendfsync everysec")
	changed := time.Now()
	var err error
	for n := 0; err == nil; n++ {
		late := time.Since(changed)
		if err = g.send(fmt.Sprintf("m%d@corp.test", n)); err == nil && late > 10*time.Second {
			t.Fatalf("mail that came %v later is taken", late)
		}
	}
	if !strings.HasPrefix(err.Error(), "451") {
		t.Errorf("refused with %v", err)
	}
	g.said("CONFIG SET appendfsync always")
	if _, code := g.ctl("recall", "before@corp.test"); code != 0 {
		t.Errorf("recall meanwhile: exit %d", code)
	}
	g.redis.Do("CONFIG SET appendfsync always")
	g.mustSend("after@corp.test")
}
