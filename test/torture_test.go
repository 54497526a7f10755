package test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/test/server"
)

// torture is a gateway under which everything is killed at random while mail comes in and is recalled.
type torture struct {
	*gateway
	store *holdstore.Store

	mu       sync.Mutex
	sent     int
	acked    []string        // the client heard 250
	recalled map[string]bool // true: the store said recalled; false: it said too late
	unclear  map[string]bool // the store did not answer a recall
	kills    map[string]int
}

// TestTorture is short here, and with Postfix only; "make torture" runs it for minutes with each MTA. Nothing that a client
// heard 250 for may be lost, and nothing that was said to be recalled may arrive.
func TestTorture(t *testing.T) {
	t.Parallel()
	hasty := kind(func(t *testing.T, milter, nextHop string) mta {
		return ofPostfix(server.StartPostfix(t, milter, nextHop, "queue_run_delay = 2s"))
	})
	text := os.Getenv("TORTURE")
	if text == "" {
		hasty.torture(t, 15*time.Second)
		return
	}
	runFor, err := time.ParseDuration(text)
	if err != nil {
		t.Fatal(err)
	}
	t.Run("Postfix", func(t *testing.T) { hasty.torture(t, runFor) })
	t.Run("Sendmail", func(t *testing.T) { kind(withSendmail).torture(t, runFor) })
}

func (k kind) torture(t *testing.T, runFor time.Duration) {
	g := k.gateway(t, "1s")
	g.killDaemon()
	keys := g.conf + ".keys"
	g.ctl("key", "new", keys)
	g.change("[redis]", "[seal]\nkey_file = \""+keys+"\"\n[redis]")
	g.startDaemon()
	store, err := holdstore.Open(holdstore.Options{Addresses: []string{g.redis.Addr}, Durability: "strict"})
	g.must(err)
	defer store.Close()
	o := &torture{gateway: g, store: store, recalled: map[string]bool{}, unclear: map[string]bool{}, kills: map[string]int{}}
	ctx, cancel := context.WithTimeout(t.Context(), runFor)
	defer cancel()
	var wg sync.WaitGroup
	for range 6 {
		wg.Go(func() { o.sends(ctx) })
	}
	for range 2 {
		wg.Go(func() { o.recalls(ctx) })
	}
	o.kill(ctx)
	wg.Wait()
	o.judge(t)
}

// sends submits one message after the other; what is refused or cut off is not counted on.
func (o *torture) sends(ctx context.Context) {
	for ctx.Err() == nil {
		o.mu.Lock()
		o.sent++
		id := fmt.Sprintf("t%d@corp.test", o.sent)
		o.mu.Unlock()
		err := o.send(id)
		o.mu.Lock()
		if err == nil {
			o.acked = append(o.acked, id)
		}
		o.mu.Unlock()
		if err != nil {
			holdOn(ctx, 5*time.Millisecond)
		}
	}
}

// recalls takes back messages that were acknowledged just now, and notes what the store answers.
func (o *torture) recalls(ctx context.Context) {
	for ctx.Err() == nil {
		o.mu.Lock()
		id := ""
		if n := len(o.acked); n > 0 {
			id = o.acked[n-1-rand.IntN(min(n, 20))]
		}
		_, done := o.recalled[id]
		o.mu.Unlock()
		if id == "" || done {
			holdOn(ctx, 5*time.Millisecond)
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
	_, err = o.store.Recall(ctx, holds[0].ID, holdstore.Act{By: "torture"})
	if errors.Is(err, holdstore.ErrTooLate) {
		return false, nil
	}
	return err == nil, err
}

// kill ends one thing after the other as hard as it gets, and starts it again.
func (o *torture) kill(ctx context.Context) {
	harms := map[string]func(){
		"daemon": func() { o.daemon.Process.Kill(); o.daemon.Wait(); o.startDaemon() },
		"redis":  func() { o.redis.Restart() },
		"MTA":    func() { o.mta.kill(); o.mta.start() },
		"stopped redis": func() {
			o.redis.Pause()
			holdOn(ctx, time.Second)
			o.redis.Resume()
		},
		"full redis": func() {
			o.redis.Do("CONFIG SET maxmemory 1mb")
			holdOn(ctx, 500*time.Millisecond)
			o.redis.Do("CONFIG SET maxmemory 0")
		},
	}
	names := []string{"daemon", "redis", "MTA", "stopped redis", "full redis"}
	for n := 0; ctx.Err() == nil; n++ {
		holdOn(ctx, time.Duration(rand.IntN(1500))*time.Millisecond)
		name := names[n%len(names)] // each in turn, at a random moment
		harms[name]()
		o.kills[name]++
	}
}

// judge waits until the last message has left, and compares what arrived with what was promised.
func (o *torture) judge(t *testing.T) {
	server.Eventually(t, "nothing waits any more", func() bool { _, code := o.ctl("list"); return code == 1 })
	due := 0
	for _, id := range o.acked {
		if !o.recalled[id] && !o.unclear[id] {
			due++
		}
	}
	server.Eventually(t, "all that was not recalled has arrived", func() bool {
		count, there := arrivals(o.sink), 0
		for _, id := range o.acked {
			if !o.recalled[id] && !o.unclear[id] && count[id] > 0 {
				there++
			}
		}
		return there == due
	})
	count, twice, back := arrivals(o.sink), 0, 0
	for _, id := range o.acked {
		switch {
		case o.recalled[id] && count[id] > 0:
			t.Errorf("%s was recalled, and arrived %d times", id, count[id])
		case o.recalled[id]:
			back++
		}
		twice += max(0, count[id]-1)
	}
	t.Logf("%d sent, %d acknowledged, 0 lost, %d recalled, %d copies too many; killed or stopped: %v", o.sent, len(o.acked), back, twice, o.kills)
	if len(o.acked) == 0 || back == 0 {
		t.Error("nothing was put to the test")
	}
}
