//go:build bench

package test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/test/server"
)

// releaseBench is a store with due holds, and a daemon that releases them when it is told to.
type releaseBench struct {
	*storeBench
	g *gateway
}

// TestBenchRelease compares the daemon that releases what is due with smtp-source, which sends as many messages of the
// same size over as many sessions into the same port, and with the store alone, from claim to settle.
func TestBenchRelease(t *testing.T) {
	b := &releaseBench{storeBench: newStoreBench(t)}
	b.redis.Do("CONFIG SET appendfsync always")
	dir := t.TempDir()
	b.g = &gateway{t: t, conf: filepath.Join(dir, "recall-milter.toml"), log: filepath.Join(dir, "log"),
		milter: server.FreeAddr(t), redis: b.redis}
	b.compare("a port that throws everything away", startDiscard(t), 4<<10, 6000, 0)
	b.compare("a port that throws everything away", startDiscard(t), 50<<10, 2000, 0)
	b.compare("a Postfix", server.StartPostfix(t, b.g.milter, server.StartSinkFor(t, func(server.Delivery) {}).Addr,
		"smtpd_milters =", "defer_transports = smtp").Reinject, 4<<10, 1500, 0.9)
}

// startDiscard starts Postfix's smtp-sink.
func startDiscard(t *testing.T) (addr string) {
	addr = server.FreeAddr(t)
	startListening(t, addr, exec.Command(server.Program(t, "smtp-sink"), "-u", "nobody", addr, "100"))
	return addr
}

// compare does the same in turns. aim is the least of smtp-source's rate; 0: none.
func (b *releaseBench) compare(name, port string, size, n int, aim float64) {
	text := fmt.Sprintf("%s\n[redis]\naddresses = [%q]\n[release]\nsmtp = %q\n[http]\nlisten = \"\"\n",
		listenLine(b.g.milter), b.redis.Addr, port)
	b.g.must(os.WriteFile(b.g.conf, []byte(text), 0o600))
	var ours, before, pipes, stores []float64
	var cost, costBefore time.Duration
	for range rounds {
		b.due(n, size)
		ours = append(ours, b.released(n, "", &cost))
		if program := os.Getenv("BENCH_BEFORE"); program != "" {
			b.due(n, size)
			before = append(before, b.released(n, program, &costBefore))
		}
		pipes = append(pipes, source(b.T, port, 8, n, size, "-N")) // each to another recipient, as the holds are
		b.due(n, size)
		stores = append(stores, b.settled(n))
	}
	of := ratio(ours, pipes)
	b.Logf("release of %d KB into %s: %.0f/s; smtp-source into the same port with 8 sessions: %.0f/s, of it %.2f "+
		"(aim %.1f%s); the store alone, 8 hands: %.0f/s, of it %.2f", size>>10, name, median(ours), median(pipes), of, aim,
		missed(of < aim), median(stores), ratio(ours, stores))
	b.Logf("daemon and redis take %v of processor time a message", cost/time.Duration(rounds*n))
	if len(before) > 0 {
		b.Logf("the version before: %.0f/s, against it %.2f; it takes %v", median(before), ratio(ours, before),
			costBefore/time.Duration(rounds*n))
	}
}

// due empties the store and makes holds that are due.
func (b *releaseBench) due(n, size int) {
	b.redis.Do("FLUSHALL")
	b.redis.Do("CONFIG SET appendfsync no")
	rate(n, 64, func() { b.hold(size, 0, "") })
	b.redis.Do("CONFIG SET appendfsync always")
}

// released starts a daemon, and returns how much it releases a second when it has begun. It adds to cost what the
// processor did for all of it. An empty program is the one of this tree.
func (b *releaseBench) released(n int, program string, cost *time.Duration) float64 {
	count := func() int {
		s, err := b.store.Stats(context.Background())
		b.g.must(err)
		return s.Count[holdstore.Released]
	}
	b.g.program = program
	b.g.startDaemon()
	defer b.g.killDaemon()
	pids := []int{b.g.daemon.Process.Pid, b.redis.PID()}
	begun := processorTime(b.T, pids)
	first, begin := 0, time.Now()
	server.Eventually(b.T, "the first are released",
		func() bool { first, begin = count(), time.Now(); return first >= n/10 })
	server.Eventually(b.T, "all are released", func() bool { return count() >= n })
	*cost += processorTime(b.T, pids) - begun
	return float64(n-first) / time.Since(begin).Seconds()
}

// settled claims and settles what is due, by as many hands as the daemon has senders.
func (b *releaseBench) settled(n int) float64 {
	ctx, start := context.Background(), time.Now()
	sent := holdstore.Settlement{Results: map[int]holdstore.Result{0: {Outcome: holdstore.Sent,
		Detail: "250 2.0.0 Ok: queued as 4NEW"}}}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			claims, err := b.store.Claim(ctx, 1)
			for err == nil && len(claims) > 0 && claims[0] != nil {
				claims[0], err = b.store.SettleNext(ctx, claims[0], sent)
			}
			if err != nil {
				b.Error(err)
			}
		})
	}
	wg.Wait()
	return float64(n) / time.Since(start).Seconds()
}
