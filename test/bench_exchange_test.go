//go:build bench

package test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/test/server"
)

// TestBenchLateRecall measures from a recall after the release until the message is out of the other organisation's
// mailbox, next to the recall of a held one.
func TestBenchLateRecall(t *testing.T) {
	const messages = 30
	w := startWorld(t, true, "[inbound.recall]\nrate = \"1000/h\"")
	var late, held []time.Duration
	for n := range messages {
		id := fmt.Sprintf("late%d@corp.test", n)
		w.delivered(id, "bert@far.test")
		start := time.Now()
		w.asks(id)
		server.Eventually(t, "it is gone",
			func() bool { return !slices.Contains(w.far.folder("bert@far.test", "INBOX"), id) })
		late = append(late, time.Since(start))
	}
	w.corp.change(`grace = "1s"`, `grace = "1h"`)
	w.corp.killDaemon()
	w.corp.startDaemon()
	for n := range messages {
		id := fmt.Sprintf("held%d@corp.test", n)
		w.corp.message("anna", id)
		start := time.Now()
		w.corp.ctl("recall", id)
		held = append(held, time.Since(start))
	}
	t.Logf("recallctl recall until the other organisation's mailbox is empty: p50 %v, p99 %v; of a held message: p50 "+
		"%v, p99 %v",
		quantile(late, 50), quantile(late, 99), quantile(held, 50), quantile(held, 99))
}
