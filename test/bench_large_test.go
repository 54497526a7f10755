//go:build bench

package test

import (
	"context"
	"fmt"
	"net/smtp"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	mostMemory    = 256 << 10 // KB resident of the daemon, with largeSessions of 25 MB
	mostSlower    = 2.0       // p99 of small mail next to large mail, against alone
	largeSize     = 25 << 20
	largeSessions = 50
	smallSessions = 4
)

// largeMail measures what many large messages at a time cost: memory, and the time of small mail next to them. The
// durable milter shows what of that time is Postfix's, which shares the processors.
func largeMail(t *testing.T, peers []*peer) {
	large := mailFile(t, largeSize)
	ratios := make([][]float64, 2)
	var line strings.Builder
	for range rounds {
		for n, p := range peers[:2] {
			p.empty()
			alone := quantile(smallMail(t, p.ports["unix"], func() { time.Sleep(2 * runTime) }), 99)
			next := quantile(smallMail(t, p.ports["unix"], func() {
				sourceFile(t, p.ports["unix"], largeSessions, largeSessions, large)
			}), 99)
			ratios[n] = append(ratios[n], float64(next)/float64(alone))
			fmt.Fprintf(&line, "; %s: %v alone, %v next to it", p.name, alone, next)
			if n == 0 {
				peak := 0
				fmt.Sscan(peakOf(p.pids[0][0]), &peak)
				t.Logf("%d sessions of 25 MB: daemon: %d MB resident at its peak (aim 256%s)", largeSessions, peak>>10,
					missed(peak > mostMemory))
			}
		}
	}
	t.Logf("small mail next to %d sessions of 25 MB: p99 %.1f of it alone (aim %.1f%s), behind the durable milter %.1f%s",
		largeSessions, median(ratios[0]), mostSlower, missed(median(ratios[0]) > mostSlower), median(ratios[1]), &line)
}

// smallMail is the time from the final dot to the 250 of each small message that is sent while something else is done.
func smallMail(t *testing.T, addr string, meanwhile func()) (all []time.Duration) {
	text, err := os.ReadFile(mailFile(t, 4<<10))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	var mu sync.Mutex
	var senders sync.WaitGroup
	for range smallSessions {
		senders.Go(func() {
			err := sendUntil(ctx, addr, text, func(took time.Duration) {
				mu.Lock()
				defer mu.Unlock()
				all = append(all, took)
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	meanwhile()
	stop()
	senders.Wait()
	return all
}

// sendUntil sends the same message over one connection until ctx ends, and says how long each final dot waited.
func sendUntil(ctx context.Context, addr string, text []byte, sent func(time.Duration)) error {
	c, err := smtp.Dial(addr)
	if err != nil {
		return err
	}
	defer c.Close()
	for ctx.Err() == nil {
		if err := c.Mail("a@corp.test"); err != nil {
			return err
		}
		if err := c.Rcpt("b@x.test"); err != nil {
			return err
		}
		w, err := c.Data()
		if err != nil {
			return err
		}
		if _, err := w.Write(text); err != nil {
			return err
		}
		start := time.Now()
		if err := w.Close(); err != nil {
			return err
		}
		sent(time.Since(start))
	}
	return nil
}
