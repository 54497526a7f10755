package test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/recall-milter/recall-milter/test/server"
)

func TestHeldMessageIsReleasedAsSubmitted(t *testing.T) {
	eachMTA(t, func(t *testing.T, k kind) {
		g := k.gateway(t, "2s")
		g.mustSend("one@corp.test")
		server.Eventually(t, "the message arrives", func() bool { return g.arrived("one@corp.test") == 1 })
		d := g.sink.Got()[0]
		_, rest, _ := strings.Cut(string(d.Data), "From: a@corp.test\r\n")
		want := "To: b@x.test\r\nSubject: the price list\r\nMessage-ID: <one@corp.test>\r\nDate: Tue, 24 Nov 2026 " +
			"09:00:00 +0000\r\n\r\n.dot\r\nbody of one@corp.test\r\n"
		if rest != want {
			t.Errorf("released:\n%q\nwant\n%q", rest, want)
		}
		if n := strings.Count(string(d.Data), "(Recall Milter)"); n != 1 {
			t.Errorf("%d Received fields of ours, want 1:\n%s", n, d.Data)
		}
		server.Eventually(t, "the hold is a record", func() bool {
			out, code := g.ctl("--json", "list", "--state", "released")
			return code == 0 && strings.Contains(out, "<one@corp.test>")
		})
		if _, code := g.ctl("recall", "<one@corp.test>"); code != 2 {
			t.Errorf("recall after release: exit %d, want 2 (too late)", code)
		}
	})
}

func TestRecalledMessageIsNeverSent(t *testing.T) {
	eachMTA(t, func(t *testing.T, k kind) {
		g := k.gateway(t, "1h")
		g.mustSend("keep@corp.test")
		g.mustSend("back@corp.test")
		if _, code := g.ctl("recall", "back@corp.test", "--reason", "wrong list"); code != 0 {
			t.Fatalf("recall: exit %d", code)
		}
		out, _ := g.ctl("--json", "list")
		var hold struct{ ID, State, Message_ID string }
		if err := json.Unmarshal([]byte(out), &hold); err != nil || hold.Message_ID != "<keep@corp.test>" ||
			hold.State != "held" {
			t.Fatalf("list after the recall: %v %+v", err, hold)
		}
		if _, code := g.ctl("release", hold.ID); code != 0 {
			t.Fatalf("release: exit %d", code)
		}
		server.Eventually(t, "the other message arrives", func() bool { return g.arrived("keep@corp.test") == 1 })
		if g.arrived("back@corp.test") != 0 {
			t.Error("the recalled message was sent")
		}
		if _, code := g.ctl("restore", "back@corp.test"); code != 0 {
			t.Fatalf("restore: exit %d", code)
		}
		if _, code := g.ctl("release", "back@corp.test"); code != 0 {
			t.Fatalf("release after restore: exit %d", code)
		}
		server.Eventually(t, "the restored message arrives", func() bool { return g.arrived("back@corp.test") == 1 })
	})
}

func TestNothingAcknowledgedIsLostWhenAllIsKilled(t *testing.T) {
	eachMTA(t, func(t *testing.T, k kind) {
		g := k.gateway(t, "1h")
		for i := range 20 {
			g.mustSend(fmt.Sprintf("m%d@corp.test", i))
		}
		g.killDaemon()
		g.redis.Restart()
		g.startDaemon()
		if _, code := g.ctl("release", "--all", "--yes"); code != 0 {
			t.Fatalf("release: exit %d", code)
		}
		for i := range 20 {
			id := fmt.Sprintf("m%d@corp.test", i)
			server.Eventually(t, id+" arrives", func() bool { return g.arrived(id) == 1 })
		}
	})
}

func TestRedisAwayDefersMailAndSaysSo(t *testing.T) {
	eachMTA(t, func(t *testing.T, k kind) {
		g := k.gateway(t, "1h")
		g.redis.Kill()
		if err := g.send("away@corp.test"); err == nil || !strings.HasPrefix(err.Error(), "4") {
			t.Fatalf("got %v, want a 4xx answer", err)
		}
		if _, code := g.ctl("list"); code != 69 {
			t.Errorf("list while Redis is away: exit %d, want 69", code)
		}
		g.redis.Start()
		server.Eventually(t, "mail is taken again", func() bool { return g.send("back@corp.test") == nil })
	})
}

func TestLargeMessagesAreHeldAndReleasedWhole(t *testing.T) {
	eachMTA(t, func(t *testing.T, k kind) {
		g := k.gateway(t, "1s")
		var body strings.Builder
		for n := 0; body.Len() < 3<<20; n++ {
			fmt.Fprintf(&body, "line %d of an attachment that takes many pieces\r\n", n)
		}
		const messages = 5
		for n := range messages {
			id := fmt.Sprintf("large%d@corp.test", n)
			if err := g.sendBody(id, body.String()); err != nil {
				t.Fatalf("%s was not taken: %v", id, err)
			}
		}
		for n := range messages {
			id := fmt.Sprintf("large%d@corp.test", n)
			server.Eventually(t, id+" arrives", func() bool { return g.arrived(id) == 1 })
		}
		for _, d := range g.sink.Got() {
			if !bytes.Contains(d.Data, []byte("\r\n\r\n"+body.String())) {
				t.Errorf("a body of %d bytes arrived changed", len(d.Data))
			}
		}
	})
}
