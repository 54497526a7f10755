package holdstore

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/recall-milter/recall-milter/test/server"
)

// passing is a hook of go-redis that changes nothing.
type passing struct{}

func (passing) DialHook(next redis.DialHook) redis.DialHook          { return next }
func (passing) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }
func (passing) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// defective is a client with a defect that can be switched on: it panics at each command.
type defective struct {
	passing
	on atomic.Bool
}

func (d *defective) fail() {
	if d.on.Load() {
		panic("a defect")
	}
}

func (d *defective) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error { d.fail(); return next(ctx, cmd) }
}

func (d *defective) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error { d.fail(); return next(ctx, cmds) }
}

// panics are those that a store tells of.
type panics struct {
	mu  sync.Mutex
	all []string
}

func (r *panics) add(what string, v any, stack []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if strings.Contains(string(stack), ".go:") {
		r.all = append(r.all, what)
	}
}

func (r *panics) text() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Join(r.all, "\n")
}

func TestAPanicInTheStoreCostsWhatItEndedAndIsReported(t *testing.T) {
	s := open(t, server.StartRedis(t).Addr)
	told, fault := &panics{}, &defective{}
	s.OnDefect(told.add)
	s.nodes.Client.AddHook(fault)
	ctx := t.Context()
	held, due := put(t, s, "held", time.Hour, ""), put(t, s, "due", 0, "")
	claim := claimOne(t, s)
	settled := Settlement{Results: map[int]Result{0: {Outcome: Sent}, 1: {Outcome: Sent}}}
	large := s.Put(submission("large"), []byte(header("large")))
	_, small := begun(t, s, "small")
	for what, f := range map[string]func() error{
		"the storing of a batch of messages": func() error { return s.commit(ctx, s.nodes.Shards[0], small) },
		"the storing of a piece of hold": func() error {
			large.Write(ctx, make([]byte, 2*chunkSize))
			large.work.Wait()
			return large.err()
		},
		"the settling of a batch of releases": func() error { return s.Settle(ctx, claim, settled) },
		"the reading of records": func() error {
			none := &Store{nodes: s.nodes} // it has no seals to look at
			_, _, err := none.parseEach([]string{held.ID}, []map[string]string{{"p": "1 1 1 1 a 1\n{}"}})
			return err
		},
		"an action on a batch of holds": func() error {
			return s.Bulk(ctx, s.Recalling(), []string{held.ID}, Actor{},
				nil)
		},
		"work on a server of the store": func() error { _, err := s.Reap(ctx); return err },
		"the confirming of holds, which is tried": func() error {
			s.Confirm(held)
			server.Eventually(t, "it is tried", func() bool { return strings.Contains(told.text(), "confirming") })
			return ErrDefect
		},
	} {
		fault.on.Store(true)
		err := f()
		fault.on.Store(false)
		if !errors.Is(err, ErrDefect) || !strings.Contains(told.text(), what) {
			t.Errorf("%s: %v, reported: %s", what, err, told.text())
		}
	}
	if err := s.Settle(ctx, claim, settled); err != nil {
		t.Errorf("%s is settled afterwards: %v", due.ID, err)
	}
	put(t, s, "later", time.Hour, "")
}
