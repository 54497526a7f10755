package holdstore

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/holdstore/internal/holdid"
	"github.com/recall-milter/recall-milter/holdstore/internal/nodes"
	"github.com/recall-milter/recall-milter/test/server"
)

// A store that is newer than a running daemon stops it at its next step, whatever that is, and nothing is lost.
func TestAnOlderVersionRefusesANewerStore(t *testing.T) {
	addr := server.StartRedis(t).Addr
	s, ctx := open(t, addr), t.Context()
	r := put(t, s, "m", time.Hour, "body")
	due := put(t, s, "due", 0, "body")
	c := claimOne(t, s)
	begun := s.Put(submission("late"), []byte("A: b\r\n"))
	schema := string(s.nodes.Shards[0]) + "schema"
	s.nodes.Client.Set(ctx, schema, fmt.Sprintf("%d/1", nodes.Layout+1), 0)
	for what, try := range map[string]func() error{
		"commit": func() error { _, err := begun.Commit(ctx, Terms{Grace: time.Hour}); return err },
		"claim":  func() error { _, err := s.Claim(ctx, 1); return err },
		"settle": func() error { return s.Settle(ctx, c, Settlement{RetryIn: time.Hour}) },
		"recall": func() error { _, err := s.Recall(ctx, r.ID, alice); return err },
		"reap":   func() error { _, err := s.Reap(ctx); return err },
		"other":  func() error { _, err := open(t, addr).Get(ctx, r.ID); return err },
	} {
		err := try()
		if !errors.Is(err, ErrSchema) || !errors.Is(err, ErrUnavailable) {
			t.Errorf("%s: %v", what, err)
		}
		if want := "upgraded to layout 2 by a newer version, and this one knows layout 1"; !strings.Contains(err.Error(),
			want) {
			t.Errorf("%s: %v", what, err)
		}
	}
	s.nodes.Client.Set(ctx, schema, s.nodes.Schema(), 0)
	if h, err := s.Get(ctx, r.ID); err != nil || h.State != Held {
		t.Errorf("%+v %v", h, err)
	}
	if err := s.Settle(ctx, c, Settlement{RetryIn: time.Hour}); err != nil {
		t.Errorf("%s: %v", due.ID, err)
	}
	if st, err := s.Stats(ctx); err != nil || st.Count[Held] != 2 {
		t.Errorf("%+v %v", st, err)
	}
}

func TestTheNumberOfShardsIsFixed(t *testing.T) {
	addr := server.StartRedis(t).Addr
	s, ctx := open(t, addr), t.Context()
	for schema, want := range map[string]string{"1/64": "made with 64 shards", "0>1/64": "made with 64 shards",
		"9>10/1": "upgraded to layout 10",
		"0/1":    "can't upgrade", "rubbish": "no version"} {
		s.nodes.Client.Set(ctx, string(s.nodes.Shards[0])+"schema", schema, 0)
		if _, err := open(t, addr).Stats(ctx); !errors.Is(err, ErrSchema) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", schema, err)
		}
	}
}

// older makes a store as a fictional layout 0 had it, and adds the step that makes layout 1 of it: an example of an
// upgrade. Layout 0 has no index of Message-IDs. It returns how often the step ran for one shard.
func older(t *testing.T, s *Store) (runs *atomic.Int64) {
	t.Helper()
	ctx, at := t.Context(), s.nodes.Shards[0]
	for _, name := range s.nodes.Client.Keys(ctx, string(at)+"i:m*").Val() {
		s.nodes.Client.Del(ctx, name)
	}
	s.nodes.Client.Set(ctx, string(at)+"schema", "0/1", 0)
	runs = &atomic.Int64{}
	upgrades[0] = func(ctx context.Context, at nodes.Shard) error {
		runs.Add(1)
		ids, err := s.nodes.Client.ZRange(ctx, stateKey(at, Held), 0, -1).Result()
		if err != nil {
			return err
		}
		holds, _, err := s.loadEach(ctx, ids)
		for _, h := range holds {
			for _, entry := range s.entries("m", h.MessageID) {
				s.nodes.Client.SAdd(ctx, indexKey(at, entry), holdid.Number(h.ID))
			}
		}
		return err
	}
	t.Cleanup(func() { delete(upgrades, 0) })
	return runs
}

func TestAnUpgrade(t *testing.T) {
	addr := server.StartRedis(t).Addr
	first := open(t, addr)
	r := put(t, first, "held", time.Hour, "body")
	runs := older(t, first)
	stores := []*Store{open(t, addr), open(t, addr), open(t, addr)} // several gateways come back at once
	failed := make(chan error, len(stores))
	for _, s := range stores {
		go func() { _, err := s.Reap(context.Background()); failed <- err }()
	}
	for range stores {
		if err := <-failed; err != nil {
			t.Fatal(err)
		}
	}
	s, ctx := stores[0], t.Context()
	if got := s.nodes.Client.Get(ctx, string(s.nodes.Shards[0])+"schema").Val(); got != "1/1" || runs.Load() == 0 {
		t.Errorf("schema %q after %d runs", got, runs.Load())
	}
	if hs, err := s.Resolve(ctx, "held@Mid.test"); err != nil || len(hs) != 1 || hs[0].ID != r.ID {
		t.Errorf("by its Message-ID: %v %v", hs, err)
	}
	if f := faults(t, s, false); len(f) > 0 {
		t.Errorf("faults: %+v", f)
	}
}

// An upgrade that was killed is taken up by whoever comes next; a schema that was lost is found again.
func TestAnUpgradeThatWasCutIsEnded(t *testing.T) {
	addr := server.StartRedis(t).Addr
	first := open(t, addr)
	put(t, first, "held", time.Hour, "body")
	older(t, first)
	s, ctx := open(t, addr), t.Context()
	s.nodes.Client.Set(ctx, string(s.nodes.Shards[0])+"schema", "0>1/1", 0)
	if hs, err := s.Resolve(ctx, "held@Mid.test"); err != nil || len(hs) != 1 {
		t.Errorf("%v %v", hs, err)
	}
	s.nodes.Client.Del(ctx, string(s.nodes.Shards[0])+"schema")
	if c, err := s.Claim(ctx, 1); err != nil || len(c) != 0 {
		t.Errorf("%v %v", c, err)
	}
	if got := s.nodes.Client.Get(ctx, string(s.nodes.Shards[0])+"schema").Val(); got != "1/1" {
		t.Errorf("schema %q", got)
	}
	s.nodes.Client.FlushAll(ctx)
	if r := put(t, s, "m", time.Hour, ""); r.ID == "" {
		t.Error("a store that was emptied takes no mail")
	}
}
