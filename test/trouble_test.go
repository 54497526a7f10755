package test

import (
	"strings"
	"testing"

	"github.com/recall-milter/recall-milter/test/server"
)

func startsWith(prefix, reply string) func(string) string {
	return func(line string) string {
		if strings.HasPrefix(line, prefix) {
			return reply
		}
		return ""
	}
}

func TestAPortThatDefersGetsTheMailLater(t *testing.T) {
	eachMTA(t, func(t *testing.T, k kind) {
		for _, at := range []string{"MAIL", "RCPT", "DATA", "."} {
			t.Run(at, func(t *testing.T) {
				t.Parallel()
				g, port := k.gatewayTo(t, "1s")
				port.Answer(startsWith(at, "452 4.3.1 insufficient storage"))
				g.mustSend("m@corp.test")
				g.said("452 4.3.1 insufficient storage")
				server.Eventually(t, "show says why it waits", func() bool {
					out, code := g.ctl("show", "m@corp.test")
					return code == 0 && strings.Contains(out, "452 4.3.1")
				})
				port.Answer(nil)
				server.Eventually(t, "the message leaves", func() bool { return arrivedAt(port, "m@corp.test") == 1 })
			})
		}
	})
}

func TestAPortThatIsAwayGetsTheMailLater(t *testing.T) {
	eachMTA(t, func(t *testing.T, k kind) {
		g, port := k.gatewayTo(t, "1s")
		nobody := server.FreeAddr(t)
		g.killDaemon()
		g.change(port.Addr, nobody)
		g.startDaemon()
		g.mustSend("m@corp.test")
		g.said("connection refused")
		g.killDaemon()
		g.change(nobody, port.Addr)
		g.startDaemon()
		server.Eventually(t, "the message leaves", func() bool { return arrivedAt(port, "m@corp.test") == 1 })
	})
}

func TestARecipientThatIsRefusedIsBouncedAndTheOthersAreSent(t *testing.T) {
	eachMTA(t, func(t *testing.T, k kind) {
		g, port := k.gatewayTo(t, "1s")
		port.Answer(startsWith("RCPT TO:<GONE@", "550 5.1.1 no such user"))
		speak(t, g.mta.smtp, append([]string{"MAIL FROM:<a@corp.test>", "RCPT TO:<gone@x.test>", "RCPT TO:<b@x.test>"},
			data("m@corp.test")...)...)
		server.Eventually(t, "message and bounce leave", func() bool { return len(port.Got()) == 2 })
		sent, bounce := port.Got()[0], port.Got()[1]
		if len(sent.Rcpt) != 1 || !strings.HasPrefix(sent.Rcpt[0], "<b@") {
			t.Errorf("sent to %q", sent.Rcpt)
		}
		if !strings.HasPrefix(bounce.Mail, "<>") || !strings.HasPrefix(bounce.Rcpt[0], "<a@corp.test>") ||
			!strings.Contains(string(bounce.Data), "Final-Recipient: rfc822;gone@x.test") {
			t.Errorf("bounce from %s to %q:\n%s", bounce.Mail, bounce.Rcpt, bounce.Data)
		}
		server.Eventually(t, "each recipient has its result", func() bool {
			out, _ := g.ctl("--json", "list", "--state", "released")
			return strings.Contains(out, `{"address":"gone@x.test","result":"failed"`) &&
				strings.Contains(out, `{"address":"b@x.test","result":"sent"`)
		})
	})
}

// Postfix only: the MTA that took the message has no part in it any more, and a lease takes a minute to end.
func TestADaemonKilledWhileThePortHangsLosesNothing(t *testing.T) {
	t.Parallel()
	for _, at := range []string{"DATA", "."} {
		t.Run(at, func(t *testing.T) {
			t.Parallel()
			g, port := startGatewayTo(t, "1s")
			reached := make(chan bool, 100)
			port.Answer(func(line string) string {
				if line == at {
					reached <- true
					return server.Hangs
				}
				return ""
			})
			g.mustSend("m@corp.test")
			<-reached
			if _, code := g.ctl("recall", "m@corp.test"); code != 2 {
				t.Errorf("recall while it is being sent: exit %d, want 2", code)
			}
			g.killDaemon()
			port.Answer(nil)
			g.startDaemon()
			server.Eventually(t, "the lease of the dead daemon ends and the message leaves",
				func() bool { return arrivedAt(port, "m@corp.test") == 1 })
		})
	}
}

func TestRedisThatStandsStillMakesMailWait(t *testing.T) {
	eachMTA(t, func(t *testing.T, k kind) {
		g := k.gateway(t, "1h")
		g.redis.Pause()
		sent := make(chan error)
		go func() { sent <- g.send("slow@corp.test") }()
		if _, code := g.ctl("list"); code != 69 {
			t.Errorf("list: exit %d, want 69", code)
		}
		g.redis.Resume()
		err := <-sent
		out, _ := g.ctl("--json", "list")
		if held := strings.Contains(out, "<slow@corp.test>"); held != (err == nil) {
			t.Errorf("the client heard %v, and held is %v", err, held)
		}
	})
}

func TestAFullRedisDefersMailAndStillLetsItGo(t *testing.T) {
	eachMTA(t, func(t *testing.T, k kind) {
		g := k.gateway(t, "1h")
		g.mustSend("sent@corp.test")
		g.mustSend("back@corp.test")
		g.redis.Do("CONFIG SET maxmemory 1mb") // less than it uses already
		if err := g.send("late@corp.test"); err == nil || !strings.HasPrefix(err.Error(), "4") {
			t.Errorf("got %v, want a 4xx answer", err)
		}
		if _, code := g.ctl("recall", "back@corp.test"); code != 0 {
			t.Errorf("recall: exit %d", code)
		}
		if _, code := g.ctl("release", "sent@corp.test"); code != 0 {
			t.Errorf("release: exit %d", code)
		}
		server.Eventually(t, "the other leaves", func() bool { return g.arrived("sent@corp.test") == 1 })
		g.redis.Do("CONFIG SET maxmemory 0")
		server.Eventually(t, "mail is taken again", func() bool { return g.send("again@corp.test") == nil })
	})
}

func TestRedisThatLoadsDefersMail(t *testing.T) {
	eachMTA(t, func(t *testing.T, k kind) {
		g := k.gateway(t, "1h")
		g.redis.NextStart("--enable-debug-command", "yes")
		g.redis.Restart()
		g.mustSend("first@corp.test")
		g.redis.Do("DEBUG POPULATE 200000 filler 100")
		g.redis.Do("BGREWRITEAOF") // into a snapshot, whose loading can be slowed down
		server.Eventually(t, "the snapshot is written", func() bool {
			info := g.redis.Do("INFO persistence")
			return strings.Contains(info, "aof_rewrites:1") && strings.Contains(info, "aof_rewrite_in_progress:0")
		})
		g.redis.NextStart("--key-load-delay", "1000", "--loading-process-events-interval-bytes", "1024") // 1 ms a key
		g.redis.RestartLoading()
		if err := g.send("early@corp.test"); err == nil || !strings.HasPrefix(err.Error(), "4") {
			t.Errorf("got %v, want a 4xx answer", err)
		}
		if _, code := g.ctl("list"); code != 69 {
			t.Errorf("list: exit %d, want 69", code)
		}
		g.redis.NextStart("--key-load-delay", "0")
		g.redis.Restart()
		server.Eventually(t, "the hold is there again", func() bool {
			out, code := g.ctl("--json", "list")
			return code == 0 && strings.Contains(out, "<first@corp.test>")
		})
		server.Eventually(t, "mail is taken again", func() bool { return g.send("late@corp.test") == nil })
	})
}

func TestDeliverUnheldIsAChoice(t *testing.T) {
	eachMTA(t, func(t *testing.T, k kind) {
		g := k.gateway(t, "1h")
		g.killDaemon()
		g.change("[redis]", "on_store_failure = \"deliver\"\n[redis]")
		g.startDaemon()
		g.redis.Kill()
		g.mustSend("unheld@corp.test")
		server.Eventually(t, "the message arrives", func() bool { return g.arrived("unheld@corp.test") == 1 })
		g.said("unheld")
	})
}
