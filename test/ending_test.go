package test

import (
	"syscall"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/test/server"
)

// SIGTERM while Redis hangs, and nothing is under way, ends the daemon soon: it does not wait for one answer after
// another.
func TestTheDaemonEndsSoonWhileRedisHangs(t *testing.T) {
	t.Parallel()
	g, address := watched(t, "1h")
	server.Eventually(t, "it is ready",
		func() bool { text, _ := status(address, "/readyz"); return text == "mail can be held\n" })
	g.redis.Pause()
	defer g.redis.Resume()
	begun := time.Now()
	for range 4 {
		status(address, "/metrics") // takes 2 s each: by now all that the daemon asks by itself hangs
	}
	looks := time.Since(begun)
	begun = time.Now()
	g.must(g.daemon.Process.Signal(syscall.SIGTERM))
	g.daemon.Wait()
	if code, took := g.daemon.ProcessState.ExitCode(), time.Since(begun); code != 0 || took > looks {
		t.Errorf("it ended after %v with %d; four looks took %v", took, code, looks)
	}
}
