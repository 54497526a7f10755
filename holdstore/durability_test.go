package holdstore

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/recall-milter/recall-milter/test/server"
)

// An append-only file that is turned on in a running server has what was there before only when it is written to its
// end.
func TestAnAppendOnlyFileThatWasTurnedOnCountsWhenItIsWhole(t *testing.T) {
	t.Parallel()
	srv := server.StartRedis(t, "--appendonly", "no")
	s, careless := open(t, srv.Addr), openWith(t, Options{Addresses: []string{srv.Addr}, Durability: "relaxed"})
	put(t, careless, "there", time.Hour, "")
	refused := func(want string) {
		t.Helper()
		if _, err := tryPut(s, "m", time.Hour, ""); !errors.Is(err, ErrNotDurable) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	refused("CONFIG SET appendonly yes")
	srv.Do("CONFIG SET rdb-key-save-delay 100000000") // it will not be whole before the end of this test
	srv.Do("CONFIG SET appendonly yes")
	refused("not all of what it keeps is in it yet")
	srv.Do("CONFIG SET appendonly no")
	refused("CONFIG SET appendonly yes")
	srv.Do("CONFIG SET rdb-key-save-delay 0")
	srv.Do("CONFIG SET appendonly yes")
	server.Eventually(t, "it is whole", func() bool { _, err := tryPut(s, "m", time.Hour, ""); return err == nil })
	srv.NextStart("--appendonly", "yes")
	srv.Restart()
	server.Eventually(t, "the store answers", func() bool { return s.Ready(t.Context()) == nil })
	for _, mark := range []string{"there", "m"} {
		if hs, err := s.Resolve(t.Context(), mark+"@Mid.test"); err != nil || len(hs) != 1 {
			t.Errorf("%s: %v, %v", mark, hs, err)
		}
	}
}

func TestOneAddressOfAClusterIsTooFew(t *testing.T) {
	_, bus, _ := strings.Cut(server.FreeAddr(t), ":")
	s := open(t, server.StartRedis(t, "--cluster-enabled", "yes", "--cluster-port", bus).Addr)
	if err := s.Ready(t.Context()); !errors.Is(err, ErrUnavailable) ||
		!strings.Contains(err.Error(), "several of its nodes") {
		t.Error(err)
	}
}

// settled holds a message that is due, and has it sent.
func settled(t *testing.T, s *Store, mark string) {
	t.Helper()
	server.Eventually(t, mark+" is held", func() bool { _, err := tryPut(s, mark, 0, ""); return err == nil })
	c := claimOne(t, s)
	if err := s.Settle(t.Context(), c,
		Settlement{Results: map[int]Result{0: {Outcome: Sent}, 1: {Outcome: Sent}}}); err != nil {
		t.Errorf("%s: %v", mark, err)
	}
}

// Who becomes the primary has settings of its own. What it has is released and recalled, and nothing new is held there
// until somebody fixes them.
func TestAFailoverToAServerThatCouldLoseMailStopsHolds(t *testing.T) {
	t.Parallel()
	t.Run("sentinel", func(t *testing.T) {
		t.Parallel()
		w := server.StartWatched(t, server.Soon, "")
		for _, n := range w.Nodes[1:] {
			n.Do("CONFIG SET appendonly no")
		}
		s := openWith(t, watched(w))
		kept, due := put(t, s, "kept", time.Hour, ""), put(t, s, "due", 20*time.Minute, "")
		w.Nodes[0].Kill()
		new := w.Successor(t, w.Nodes[0])
		refuses(t, s, w.Front(new), "CONFIG SET appendonly yes")
		drains(t, s, kept, due)
		new.Do("CONFIG SET appendonly yes")
		settled(t, s, "after")
	})
	t.Run("cluster", func(t *testing.T) {
		t.Parallel()
		w := server.StartCluster(t, server.Soon)
		for _, n := range w.Nodes[3:] {
			n.Do("CONFIG SET maxmemory-policy allkeys-lru")
		}
		s, durable := openWith(t, Options{Addresses: w.Addrs()}), openWith(t, Options{Addresses: w.Addrs(), Replicas: 1})
		kept, due := put(t, durable, "kept", time.Hour, ""), put(t, durable, "due", 20*time.Minute, "")
		node, err := s.nodes.Node(t.Context(), s.nodes.Of(kept.ID)) // the same envelope: the same shard
		if err != nil {
			t.Fatal(err)
		}
		old := w.At(s.nodes.Address(node))
		before := w.Masters()
		old.Kill()
		new := w.Successor(t, before)
		refuses(t, s, new.Addr, "CONFIG SET maxmemory-policy noeviction")
		drains(t, s, kept, due)
		new.Do("CONFIG SET maxmemory-policy noeviction")
		settled(t, s, "after")
	})
}

// refuses waits until nothing is held, for this reason at this server. Nothing is acknowledged before, and nothing is
// left of what was refused for it.
func refuses(t *testing.T, s *Store, addr, fix string) {
	t.Helper()
	n := 0
	server.Eventually(t, "holds are refused until somebody types "+fix+" at "+addr, func() bool {
		n++
		_, err := tryPut(s, fmt.Sprint("refused", n), time.Hour, "")
		if err == nil {
			t.Fatalf("held where it could be lost, at try %d", n)
		}
		return errors.Is(err, ErrNotDurable) && !errors.Is(err, ErrUnavailable) &&
			strings.Contains(err.Error(), "redis at "+addr+" ") && strings.Contains(err.Error(), fix)
	})
	if hs, err := s.Resolve(t.Context(), fmt.Sprintf("refused%d@Mid.test", n)); err != nil || len(hs) > 0 {
		t.Errorf("refused, and held: %v, %v", hs, err)
	}
}

// Whoever was found durable may be another one at the next write, or have other settings. The first message after a
// reconnect is not held on what was found before it.
func TestTheFirstMessageAfterARestartIsNotHeldOnWhatWasFoundBefore(t *testing.T) {
	t.Parallel()
	srv := server.StartRedis(t)
	s, looks := open(t, srv.Addr), &looks{}
	s.nodes.Client.AddHook(looks)
	server.Eventually(t, "nothing needs to be looked at", func() bool {
		put(t, s, "before", time.Hour, "")
		looks.n.Store(0)
		put(t, s, "before", time.Hour, "")
		return looks.n.Load() == 0
	})
	srv.NextStart("--appendfsync", "everysec")
	srv.Restart()
	refuses(t, s, srv.Addr, "CONFIG SET appendfsync always")
	srv.Do("CONFIG SET appendfsync always")
	settled(t, s, "after")
}

// drains takes one message back and has the other one sent.
func drains(t *testing.T, s *Store, kept, due Committed) {
	t.Helper()
	if _, err := s.Recall(t.Context(), kept.ID, alice); err != nil {
		t.Errorf("recall: %v", err)
	}
	if _, err := s.Release(t.Context(), due.ID, alice); err != nil {
		t.Errorf("release: %v", err)
	}
	c := claimOne(t, s)
	if err := s.Settle(t.Context(), c,
		Settlement{Results: map[int]Result{0: {Outcome: Sent}, 1: {Outcome: Sent}}}); err != nil || c.ID != due.ID {
		t.Errorf("settle: %v", err)
	}
}

// looks counts how often a client asks a server what it is.
type looks struct {
	passing
	n atomic.Int64
}

func (l *looks) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if cmd.Name() == "info" {
			l.n.Add(1)
		}
		return next(ctx, cmd)
	}
}
