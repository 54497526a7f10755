package test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"net/smtp"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/test/server"
)

// torture is a gateway under which everything is killed at random while mail comes in and is recalled. Its Redis has a
// replica, whose acknowledgement counts, and the daemon reaches it through a proxy.
type torture struct {
	*gateway
	store   *holdstore.Store
	proxy   *server.Proxy
	replica *server.Redis

	mu       sync.Mutex
	sent     int
	acked    []string        // the client heard 250
	recalled map[string]bool // true: the store said recalled; false: it said too late
	unclear  map[string]bool // the store did not answer a recall, or not for sure
	kills    map[string]int
	cut      int64 // bytes of the AOF that a power loss took
}

// TestTorture is short here, and with Postfix only; "make torture" runs it for minutes with each MTA. Nothing that a
// client heard 250 for may be lost, and nothing that was said to be recalled may arrive.
func TestTorture(t *testing.T) {
	t.Parallel()
	text := os.Getenv("TORTURE")
	if text == "" {
		kind(withPostfix).torture(t, 12*time.Second)
		return
	}
	runFor, err := time.ParseDuration(text)
	if err != nil {
		t.Fatal(err)
	}
	t.Run("Postfix", func(t *testing.T) { kind(withPostfix).torture(t, runFor) })
	t.Run("Sendmail", func(t *testing.T) { kind(withSendmail).torture(t, runFor/5) })
}

func (k kind) torture(t *testing.T, runFor time.Duration) {
	o := k.tortured(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var wg sync.WaitGroup
	for n := range tortureSenders {
		wg.Go(func() { o.sends(ctx, n) })
	}
	for range 2 {
		wg.Go(func() { o.recalls(ctx) })
	}
	o.kill(ctx, time.Now().Add(runFor))
	server.Eventually(t, "enough was put to the test, on a machine under load", o.enough)
	cancel()
	wg.Wait()
	o.judge(t)
}

const tortureSenders = 16

// enough says whether messages were taken, and some of them recalled.
func (o *torture) enough() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.acked) > 0 && slices.Contains(slices.Collect(maps.Values(o.recalled)), true)
}

// tortured starts a gateway whose mail is sealed, and that waits for a replica.
func (k kind) tortured(t *testing.T) *torture {
	g := k.gateway(t, "1s")
	g.killDaemon()
	keys := g.conf + ".keys"
	g.ctl("key", "new", keys)
	o := &torture{gateway: g, proxy: server.StartProxy(t), recalled: map[string]bool{}, unclear: map[string]bool{},
		kills: map[string]int{}}
	g.redis.WatchSyncs()
	g.redis.NextStart("--enable-debug-command", "yes", "--repl-diskless-sync-delay", "0", "--repl-timeout", "5",
		"--repl-backlog-size", "64mb")
	g.redis.Restart()
	host, port, _ := net.SplitHostPort(g.redis.Addr)
	o.replica = server.StartRedis(t, "--replicaof", host+" "+port, "--appendonly", "no", "--repl-timeout", "5")
	server.Eventually(t, "the replica follows", o.replica.Follows)
	o.proxy.To(g.redis.Addr)
	g.change(g.redis.Addr, o.proxy.Addr)
	g.change("[redis]",
		"record_retention = \"1m\"\n[recall]\nretention = \"1m\"\n[seal]\nkey_file = \""+keys+"\"\n[redis]\nreplicas = 1")
	g.startDaemon()
	var err error
	o.store, err = holdstore.Open(holdstore.Options{Addresses: []string{g.redis.Addr}, Replicas: 1,
		RecallRetention: time.Minute, RecordRetention: time.Minute})
	g.must(err)
	t.Cleanup(func() { o.store.Close() })
	return o
}

// sends submits one message after the other over a connection as long as it lasts; what is refused or cut off is not
// counted on.
func (o *torture) sends(ctx context.Context, hand int) {
	var c *smtp.Client
	defer func() {
		if c != nil {
			c.Close()
		}
	}()
	for n := 0; ctx.Err() == nil; n++ {
		id := fmt.Sprintf("t%d-%d@corp.test", hand, n)
		err := o.submit(&c, id)
		o.mu.Lock()
		if o.sent++; err == nil {
			o.acked = append(o.acked, id)
		}
		o.mu.Unlock()
		if err != nil {
			holdOn(ctx, 5*time.Millisecond)
		}
	}
}

// submit sends one message over a connection that it makes or ends as it must.
func (o *torture) submit(c **smtp.Client, id string) (err error) {
	if *c == nil {
		conn, err := net.DialTimeout("tcp", o.mta.smtp, 10*time.Second)
		if err != nil {
			return err
		}
		conn.SetDeadline(time.Now().Add(time.Minute))
		if *c, err = smtp.NewClient(conn, "gw.corp.test"); err != nil {
			conn.Close()
			return err
		}
	}
	defer func() {
		if err != nil {
			(*c).Close()
			*c = nil
		}
	}()
	if err = (*c).Mail("a@corp.test"); err != nil {
		return err
	}
	if err = (*c).Rcpt("b@x.test"); err != nil {
		return err
	}
	w, err := (*c).Data()
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "From: a@corp.test\r\nTo: b@x.test\r\nSubject: torture\r\nMessage-ID: <%[1]s>\r\nDate: Tue, 24 Nov "+
		"2026 09:00:00 +0000\r\n\r\nbody of %[1]s\r\n", id)
	return w.Close()
}

// recalls takes back messages that were acknowledged just now, and notes what the store answers.
func (o *torture) recalls(ctx context.Context) {
	for ctx.Err() == nil {
		holdOn(ctx, 20*time.Millisecond)
		o.mu.Lock()
		id := ""
		if n := len(o.acked); n > 0 {
			id = o.acked[n-1-rand.IntN(min(n, 20))]
		}
		_, done := o.recalled[id]
		o.mu.Unlock()
		if id == "" || done {
			continue
		}
		won, err := o.recallOne(ctx, id)
		o.mu.Lock()
		switch {
		case errors.Is(err, holdstore.ErrNotNow): // by the other hand, or by a recall that was not answered
		case err != nil:
			o.unclear[id] = true
		default:
			o.recalled[id] = won
		}
		o.mu.Unlock()
	}
}

func holdOn(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// recallOne says whether the message was recalled; an error leaves that open.
func (o *torture) recallOne(ctx context.Context, id string) (won bool, err error) {
	holds, err := o.store.Resolve(ctx, id)
	if err != nil || len(holds) != 1 {
		return false, fmt.Errorf("%d holds, %v", len(holds), err)
	}
	h, err := o.store.Recall(ctx, holds[0].ID, holdstore.Actor{By: "torture"})
	switch {
	case errors.Is(err, holdstore.ErrTooLate):
		return false, nil
	case err != nil:
		return false, err
	case h.Results[0].Outcome != holdstore.TakenBack:
		return false, errors.New(h.Results[0].Detail)
	}
	return true, nil
}

// kill ends one thing after the other as hard as it gets, and starts it again.
func (o *torture) kill(ctx context.Context, until time.Time) {
	harms := []struct {
		name string
		do   func()
	}{
		{"daemon killed", func() { o.daemon.Process.Kill(); o.daemon.Wait(); o.startDaemon() }},
		{"redis killed", o.redis.Restart},
		{"MTA killed", func() { o.mta.kill(); o.mta.start() }},
		{"power lost", func() { o.cut += o.redis.PowerLoss(); o.redis.Start() }},
		{"connections cut", func() { o.proxy.To(""); holdOn(ctx, 200*time.Millisecond); o.proxy.To(o.redis.Addr) }},
		{"redis stopped", func() { o.redis.Pause(); holdOn(ctx, time.Second); o.redis.Resume() }},
		{"replica stopped", func() { o.replica.Pause(); holdOn(ctx, 500*time.Millisecond); o.replica.Resume() }},
		{"redis full", func() {
			o.redis.Do("CONFIG SET maxmemory 1mb")
			holdOn(ctx, 500*time.Millisecond)
			o.redis.Do("CONFIG SET maxmemory 0")
		}},
	}
	pause := 1500
	if os.Getenv("TORTURE") != "" {
		pause = 8000 // much mail has to meet each harm
	}
	for n := 0; time.Now().Before(until); n++ {
		holdOn(ctx, time.Duration(rand.IntN(pause))*time.Millisecond)
		h := harms[n%len(harms)] // each in turn, at a random moment
		h.do()
		o.kills[h.name]++
	}
}

// judge waits until the last message has left, and compares what arrived with what was promised.
func (o *torture) judge(t *testing.T) {
	o.drained(t)
	count, lost, twice, back := arrivals(o.sink), 0, 0, 0
	for _, id := range o.acked {
		switch n := count[id]; {
		case o.recalled[id] && n > 0:
			t.Errorf("%s was recalled, and arrived %d times", id, n)
		case o.recalled[id]:
			back++
		case n == 0 && !o.unclear[id]:
			t.Errorf("%s was acknowledged, and is lost", id)
			lost++
		}
		twice += max(0, count[id]-1)
	}
	t.Logf("%d sent, %d acknowledged, %d lost, %d recalled, %d recalls unclear, %d copies too many; %v, %d bytes of "+
		"the AOF lost with the power",
		o.sent, len(o.acked), lost, back, len(o.unclear), twice, o.kills, o.cut)
	if len(o.acked) == 0 || back == 0 {
		t.Error("nothing was put to the test")
	}
	// Whoever is killed between a 250 and its record has at most this many messages under way: the daemon 8, Postfix
	// 20.
	deaths := o.kills["daemon killed"] + o.kills["MTA killed"] + o.kills["redis killed"] + o.kills["power lost"] +
		o.kills["redis stopped"] + o.kills["connections cut"]
	if twice > 8*deaths+20*o.kills["MTA killed"] {
		t.Errorf("%d copies too many, and no more were being sent at each of %d interruptions", twice, deaths)
	}
}

// drained waits until nothing is held any more and nothing arrives any more.
func (o *torture) drained(t *testing.T) {
	t.Helper()
	waits := -1
	for waits != 0 {
		before := waits
		server.Eventually(t, "less is held", func() bool {
			st, err := o.store.Stats(t.Context())
			waits = st.Count[holdstore.Held] + st.Count[holdstore.Releasing]
			return err == nil && (before < 0 || waits < before || waits == 0)
		})
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	server.Eventually(t, "all that was not recalled has arrived", func() bool {
		count := arrivals(o.sink)
		for _, id := range o.acked {
			if !o.recalled[id] && !o.unclear[id] && count[id] == 0 {
				return false
			}
		}
		return true
	})
}
