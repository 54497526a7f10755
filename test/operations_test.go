package test

import (
	"fmt"
	"net/textproto"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/test/server"
)

// secondGateway starts another gateway on the store of g: a Postfix and a daemon of its own, and the same world behind
// it.
func (g *gateway) secondGateway(program string) *gateway {
	g.t.Helper()
	other := &gateway{t: g.t, conf: g.conf + ".other", log: g.log + ".other", milter: server.FreeAddr(g.t),
		redis: g.redis, sink: g.sink, program: program}
	other.postfix = server.StartPostfix(g.t, other.milter, g.sink.Addr)
	other.mta = ofPostfix(other.postfix)
	text, err := os.ReadFile(g.conf)
	g.must(err)
	g.must(os.WriteFile(other.conf, text, 0o600))
	other.change(listenLine(g.milter), listenLine(other.milter))
	other.change(g.mta.reinject, other.mta.reinject)
	other.startDaemon()
	g.t.Cleanup(other.killDaemon)
	return other
}

func TestAPauseStopsAllGatewaysOfAStore(t *testing.T) {
	t.Parallel()
	g := startGateway(t, "1s")
	other := g.secondGateway("")
	if _, code := g.ctl("pause", "--reason", "virus"); code != 0 {
		t.Fatalf("pause: exit %d", code)
	}
	g.mustSend("one@corp.test")
	other.mustSend("two@corp.test")
	g.said("until somebody types recallctl -c " + g.conf + " resume")
	other.said("until somebody types recallctl -c " + other.conf + " resume")
	server.Eventually(t, "both are overdue", func() bool {
		out, _ := g.ctl("list")
		return strings.Count(out, " now ") == 2
	})
	if n := len(g.sink.Got()); n > 0 {
		t.Errorf("%d messages left during the pause", n)
	}
	if _, code := other.ctl("recall", "two@corp.test"); code != 0 {
		t.Errorf("recall during a pause: exit %d", code)
	}
	if _, code := other.ctl("resume"); code != 0 {
		t.Fatalf("resume: exit %d", code)
	}
	server.Eventually(t, "the other leaves", func() bool { return g.arrived("one@corp.test") == 1 })
	if g.arrived("two@corp.test") != 0 {
		t.Error("the recalled message was sent")
	}
}

func TestADrainSendsEverythingAndSaysWhatItCouldNot(t *testing.T) {
	t.Parallel()
	g, port := startGatewayTo(t, "1h")
	for n := range 30 {
		g.mustSend(fmt.Sprintf("m%d@corp.test", n))
	}
	if out, code := g.ctl("drain", "--yes"); code != 0 {
		t.Fatalf("exit %d: %s", code, out)
	}
	if n := len(port.Got()); n != 30 {
		t.Errorf("%d of 30 had left when it said so", n)
	}
	port.Answer(startsWith("RCPT", "452 4.2.2 mailbox full"))
	g.mustSend("stays@corp.test")
	server.Eventually(t, "a drain says why the message stays", func() bool {
		out, code := g.ctl("--json", "drain", "--yes", "--timeout", "2s")
		return code == 2 && strings.Contains(out, "not sent yet: 452 4.2.2 mailbox full")
	})
	port.Answer(startsWith("RCPT TO:<B@", "550 5.1.1 no such user"))
	out, code := g.ctl("--json", "drain", "--yes") // the same command goes on
	if code != 2 || !strings.Contains(out, "refused for b@x.test (550 5.1.1 no such user); its sender was told") {
		t.Errorf("exit %d: %s", code, out)
	}
	server.Eventually(t, "the sender was told, and nothing waits", g.holdsNothing)
}

// Sessions that are open when the daemon is told to end get through it or are told to try again; none is lost or
// doubled.
func TestOpenSessionsSurviveARestart(t *testing.T) {
	eachMTA(t, func(t *testing.T, k kind) {
		g := k.gateway(t, "1h")
		before := []string{"EHLO client.test", "MAIL FROM:<a@corp.test>", "RCPT TO:<b@x.test>", "DATA"}
		var open []*textproto.Conn
		for n := range 2 * (len(before) + 1) { // two at each stage; the last ones stop inside DATA
			c, err := textproto.Dial("tcp", g.mta.smtp)
			g.must(err)
			defer c.Close()
			_, _, err = c.ReadResponse(220)
			g.must(err)
			for _, line := range before[:n/2] {
				g.must(c.PrintfLine("%s", line))
				_, _, err := c.ReadResponse(0)
				g.must(err)
			}
			if n/2 == len(before) {
				g.must(c.PrintfLine("Message-ID: <s%d@corp.test>\r\nSubject: x\r\n\r\nhalf of it", n))
			}
			open = append(open, c)
		}
		g.must(g.daemon.Process.Signal(syscall.SIGTERM))
		taken := map[string]bool{}
		for n, c := range open {
			rest := append([]string{}, before[n/2:]...)
			text := fmt.Sprintf("body of s%d@corp.test\r\n.", n)
			if n/2 < len(before) {
				text = fmt.Sprintf("Message-ID: <s%d@corp.test>\r\nSubject: x\r\n\r\n", n) + text
			}
			code, words := 0, ""
			for _, line := range append(rest, text) {
				g.must(c.PrintfLine("%s", line))
				var err error
				if code, words, err = c.ReadResponse(0); code >= 400 || code == 0 {
					if code/100 != 4 {
						t.Errorf("session %d at %.20q: %d %s %v, want 2xx or 4xx", n, line, code, words, err)
					}
					break
				}
			}
			if code == 250 {
				taken[fmt.Sprintf("s%d@corp.test", n)] = true
			}
		}
		g.must(g.daemon.Wait())
		g.startDaemon()
		for n := range open { // clients try again what they were told to
			if id := fmt.Sprintf("s%d@corp.test", n); !taken[id] {
				g.mustSend(id)
			}
		}
		if _, code := g.ctl("drain", "--yes"); code != 0 {
			t.Fatalf("drain: exit %d", code)
		}
		server.Eventually(t, "all have arrived", func() bool { return len(g.sink.Got()) >= len(open) })
		for id, n := range arrivals(g.sink) {
			if n != 1 {
				t.Errorf("%s arrived %d times", id, n)
			}
		}
		t.Logf("%d of %d open sessions were taken by the daemon that ended", len(taken), len(open))
		if len(taken) == 0 {
			t.Error("no message that was under way was finished")
		}
	})
}

// Two versions work on one store while the gateways are upgraded one after the other, under load.
func TestAnUpgradeSideBySideLosesAndDoublesNothing(t *testing.T) {
	t.Parallel()
	program := filepath.Join(t.TempDir(), "recall-milter")
	build := exec.Command("go", "build", "-buildvcs=false", "-race", "-ldflags", "-X main.version=next", "-o", program,
		"../cmd/recall-milter")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	g := startGateway(t, "500ms")
	other := g.secondGateway(program)
	var mu sync.Mutex
	var taken []string
	var wg sync.WaitGroup
	done := make(chan struct{})
	for hand := range 6 {
		wg.Go(func() {
			to := []*gateway{g, other}[hand%2]
			for n := 0; ; n++ {
				select {
				case <-done:
					return
				default:
				}
				id := fmt.Sprintf("u%d-%d@corp.test", hand, n)
				for to.send(id) != nil { // a client tries again
					holdOn(t.Context(), 20*time.Millisecond)
				}
				mu.Lock()
				taken = append(taken, id)
				mu.Unlock()
			}
		})
	}
	progress := func(what string) {
		from := len(g.sink.Got())
		server.Eventually(t, what, func() bool { return len(g.sink.Got()) > from+100 })
	}
	progress("both release")
	old := g.daemon
	g.must(old.Process.Signal(syscall.SIGTERM))
	g.must(old.Wait())
	progress("the new one releases alone")
	g.program = program
	g.startDaemon()
	progress("two new ones release")
	close(done)
	wg.Wait()
	server.Eventually(t, "nothing waits any more", g.holdsNothing)
	server.Eventually(t, "all have arrived", func() bool { return len(g.sink.Got()) >= len(taken) })
	arrived, lost, twice := arrivals(g.sink), 0, 0
	for _, id := range taken {
		switch {
		case arrived[id] == 0:
			lost++
		case arrived[id] > 1:
			twice++
		}
	}
	t.Logf("%d messages, %d lost, %d doubled", len(taken), lost, twice)
	if lost > 0 || twice > 0 {
		t.Errorf("%d lost, %d doubled of %d", lost, twice, len(taken))
	}
	if text, _ := daemonSays(t, "-version"); strings.Contains(text, "next") {
		t.Errorf("the old one is %s", text)
	}
}
