package test

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/recall-milter/recall-milter/test/server"
)

// A message whose key is missing waits, and says so; with the key it leaves as it came.
func TestMailWaitsForItsSealKey(t *testing.T) {
	t.Parallel()
	g := startGateway(t, "1h")
	keys := g.conf + ".keys"
	if _, code := g.ctl("key", "new", keys); code != 0 {
		t.Fatalf("key new: exit %d", code)
	}
	g.killDaemon()
	g.change("[redis]", "[seal]\nkey_file = \""+keys+"\"\n[redis]")
	g.startDaemon()
	g.mustSend("sealed@corp.test")
	text, err := os.ReadFile(keys)
	g.must(err)
	g.killDaemon()
	g.must(os.Remove(keys))
	if _, code := g.ctl("key", "new", keys); code != 0 {
		t.Fatal("no other key")
	}
	g.startDaemon()
	if _, code := g.ctl("release", "sealed@corp.test"); code != 0 {
		t.Errorf("release: exit %d", code)
	}
	g.said("to seal.key_file")
	if out, code := g.ctl("key", "status"); code != 77 || !strings.Contains(out, "missing") {
		t.Errorf("key status: exit %d\n%s", code, out)
	}
	g.killDaemon()
	g.must(os.WriteFile(keys, text, 0o600))
	g.startDaemon()
	server.Eventually(t, "the message leaves", func() bool { return g.arrived("sealed@corp.test") == 1 })
}

// A key is rotated while the daemon runs: what was sealed before and what is sealed after both leave.
func TestASealKeyIsRotatedWithoutARestart(t *testing.T) {
	t.Parallel()
	g := startGateway(t, "1h")
	keys := g.conf + ".keys"
	if _, code := g.ctl("key", "new", keys); code != 0 {
		t.Fatalf("key new: exit %d", code)
	}
	g.killDaemon()
	g.change("[redis]", "[seal]\nkey_file = \""+keys+"\"\n[redis]")
	g.startDaemon()
	g.mustSend("before@corp.test")
	if _, code := g.ctl("key", "rotate"); code != 0 {
		t.Fatalf("key rotate: exit %d", code)
	}
	g.must(g.daemon.Process.Signal(syscall.SIGHUP))
	n := 0
	server.Eventually(t, "the new key seals", func() bool {
		n++
		g.mustSend(fmt.Sprintf("after%d@corp.test", n))
		out, code := g.ctl("key", "status")
		return code == 0 && regexp.MustCompile(`seals +[1-9]`).MatchString(out) &&
			regexp.MustCompile(`opens +[1-9]`).MatchString(out)
	})
	if _, code := g.ctl("release", "--all", "--yes"); code != 0 {
		t.Fatalf("release: exit %d", code)
	}
	server.Eventually(t, "all leave", func() bool {
		return g.arrived("before@corp.test") == 1 && g.arrived(fmt.Sprintf("after%d@corp.test", n)) == 1
	})
}
