package test

import (
	"io"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/test/server"
)

// status asks the http port; 0: it does not answer.
func status(address, path string) (text string, code int) {
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	reply, err := client.Get("http://" + address + path)
	if err != nil {
		return err.Error(), 0
	}
	defer reply.Body.Close()
	all, _ := io.ReadAll(reply.Body)
	return string(all), reply.StatusCode
}

// watched starts a gateway with an http port.
func watched(t *testing.T, grace string) (g *gateway, address string) {
	t.Helper()
	g, address = startGateway(t, grace), server.FreeAddr(t)
	g.change("listen = \"\"", "listen = \""+address+"\"")
	g.restartDaemon()
	return g, address
}

// The log, readyz and doctor name the keys that were changed and that a reload can't take; the others are taken.
func TestAReloadNamesWhatNeedsARestart(t *testing.T) {
	t.Parallel()
	g, address := watched(t, "1h")
	g.said("start: version=")
	g.said("config=" + g.conf + ", listen=inet:")
	g.said("redis=" + g.redis.Addr + ", http=" + address + "\n")
	ready := func() string { text, _ := status(address, "/readyz"); return text }
	server.Eventually(t, "it is ready", func() bool { return ready() == "mail can be held\n" })

	g.change("grace = \"1h\"", "grace = \"0s\"\nmax_size = \"1MB\"")
	g.change("retry = {", "cancel_lock = false\nretry = {")
	g.must(g.daemon.Process.Signal(syscall.SIGHUP))
	g.said("reloaded: config=" + g.conf + ", needs-restart=hold.max_size release.cancel_lock\n")
	g.said("hold.grace is 0 and no rule has another: nothing is held")
	if text := ready(); text != "mail can be held\nchanged, and waiting for a restart: hold.max_size "+
		"release.cancel_lock\n" {
		t.Errorf("readyz: %q", text)
	}
	checks, _ := g.doctor()
	if found := strings.Join(checks, " "); !strings.Contains(found, "daemon.restart") {
		t.Errorf("doctor: %s", found)
	}
	g.change("cancel_lock = false", "cancel_lock = true")
	g.change("max_size = \"1MB\"", "")
	g.must(g.daemon.Process.Signal(syscall.SIGHUP))
	g.said("reloaded: config=" + g.conf + "\n")
	if text := ready(); text != "mail can be held\n" {
		t.Errorf("readyz: %q", text)
	}
	g.change("grace = \"0s\"", "grace = \"soon\"\nwish = \"no\"")
	g.must(g.daemon.Process.Signal(syscall.SIGHUP))
	refused := "\nreload refused: " + g.conf + ":"
	g.said("reload refused, the old config stays in force: config=" + g.conf + ", errors=2" + refused)
	g.said(": hold.grace: invalid duration \"soon\": use a value like \"90s\", \"2m\", \"24h\" or \"5d\"" + refused)
	g.change("grace = \"soon\"\nwish = \"no\"", "grace = \"1h\"")
	if checks, _ = g.doctor(); !strings.Contains(strings.Join(checks, " "), "daemon.reload") {
		t.Errorf("doctor: %v", checks)
	}
	g.must(g.daemon.Process.Signal(syscall.SIGTERM))
	if err := g.daemon.Wait(); err != nil {
		t.Errorf("ended with %v", err)
	}
	if !g.has("stop: reason=terminated") || !g.has("\nend\n") {
		t.Error("the log does not say why it ended")
	}
	g.startDaemon()
}

// SIGTERM is an end like any other while the daemon waits for Redis, and while it has never seen it.
func TestTheDaemonEndsWellWhileItWaitsForRedis(t *testing.T) {
	t.Parallel()
	g := startGateway(t, "1h")
	for name, away := range map[string]func(){"gone": g.redis.Kill, "hung": g.redis.Pause} {
		g.killDaemon()
		away()
		g.startDaemon()
		server.Eventually(t, "it waits while Redis is "+name,
			func() bool { return g.has("waiting for Redis") || name == "hung" })
		began := time.Now()
		g.must(g.daemon.Process.Signal(syscall.SIGTERM))
		if err := g.daemon.Wait(); err != nil || time.Since(began) > 35*time.Second {
			t.Errorf("%s: it ended after %v with %v", name, time.Since(began), err)
		}
		if name == "gone" {
			g.redis.Start()
		} else {
			g.redis.Resume()
		}
		g.startDaemon()
	}
}

// The log says that a daemon waits for Redis, and that it no longer does.
func TestTheLogSaysThatRedisIsBack(t *testing.T) {
	t.Parallel()
	g := startGateway(t, "1h")
	g.killDaemon()
	g.redis.Kill()
	g.startDaemon()
	g.said("waiting for Redis")
	g.redis.Start()
	g.said("Redis answers, and mail is released, after ")
	g.redis.Kill()
	g.said("nothing is released until the store answers again")
	const jobs = "recall requests and reports wait until the store answers again"
	g.said(jobs)
	g.redis.Start()
	g.said("the store answers again, after ")
	g.said("recall requests and reports go on, after ")
	log, err := os.ReadFile(g.log)
	if n := strings.Count(string(log), jobs); err != nil || n != 1 {
		t.Errorf("%d lines say that requests wait, %v", n, err)
	}
}

// Whoever asks readyz learns within a second that Redis is gone, hangs or is full, whatever the daemon found before.
func TestReadyzSeesRedisGoAwayWithinASecond(t *testing.T) {
	t.Parallel()
	g, address := watched(t, "1h")
	ready := func() bool { _, code := status(address, "/readyz"); return code == 200 }
	server.Eventually(t, "it is ready", ready)
	memory := func(most string) func() {
		return func() { g.redis.Do("CONFIG SET maxmemory " + most) }
	}
	for name, c := range map[string]struct{ away, back func() }{"gone": {g.redis.Kill, g.redis.Start},
		"hung": {g.redis.Pause, g.redis.Resume}, "full": {memory("1"), memory("0")}} {
		c.away()
		if text, code := status(address, "/readyz"); code != 503 || !strings.Contains(text, "mail can't be held") {
			t.Errorf("%s: %d %s", name, code, text)
		}
		c.back()
		server.Eventually(t, "it is ready again", ready)
	}
}
