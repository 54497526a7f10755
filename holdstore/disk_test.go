package holdstore

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/test/server"
)

// fill holds messages until the disk is full, and returns what was acknowledged and how the first one was refused.
func fill(t *testing.T, s *Store) (held []Committed, err error) {
	t.Helper()
	for n := 0; err == nil; n++ {
		var r Committed
		if r, err = tryPut(s, fmt.Sprint("m", n), time.Hour, strings.Repeat("x", 500)); err == nil {
			held = append(held, r)
		}
	}
	if len(held) == 0 {
		t.Fatalf("none was held: %v", err)
	}
	return held, err
}

func allHeld(t *testing.T, s *Store, held []Committed) {
	t.Helper()
	for _, r := range held {
		if h, err := s.Get(t.Context(), r.ID); err != nil || h.State != Held {
			t.Errorf("%s was acknowledged: %+v, %v", r.ID, h, err)
		}
	}
}

// A Redis that syncs each write ends itself at the first one for which its disk has no room. What it has acknowledged
// is there when there is room and it is started again.
func TestAFullDiskLosesNothing(t *testing.T) {
	t.Parallel()
	srv := server.StartRedis(t)
	s := open(t, srv.Addr)
	put(t, s, "first", time.Hour, "")
	srv.FillDisk(20_000)
	held, err := fill(t, s)
	if !errors.Is(err, ErrUnavailable) {
		t.Errorf("refused with %v", err)
	}
	srv.Kill()
	srv.Start()
	server.Eventually(t, "the store takes mail again",
		func() bool { _, err := tryPut(s, "last", time.Hour, ""); return err == nil })
	allHeld(t, s, held)
	t.Logf("%d were held; then: %v", len(held), err)
}

// One that syncs each second goes on, and refuses all that it would have to write. It says so, loses none, and goes on
// by itself.
func TestARedisThatCanNotWriteSaysSo(t *testing.T) {
	t.Parallel()
	srv := server.StartRedis(t, "--appendfsync", "everysec")
	s := openWith(t, Options{Addresses: []string{srv.Addr}, Durability: "relaxed"})
	due := put(t, s, "due", 0, "")
	srv.FillDisk(20_000)
	held, err := fill(t, s)
	server.Eventually(t, "redis says that it can not write", func() bool {
		return strings.Contains(srv.Do("INFO persistence"), "aof_last_write_status:err")
	})
	for what, try := range map[string]func() error{
		"hold":   func() error { _, err := tryPut(s, "late", 0, ""); return err },
		"recall": func() error { _, err := s.Recall(t.Context(), held[0].ID, alice); return err },
		"claim":  func() error { _, err := s.Claim(t.Context(), 1); return err },
	} {
		if err := try(); !errors.Is(err, ErrNotDurable) || !strings.Contains(err.Error(), "free space") {
			t.Errorf("%s: %v", what, err)
		}
	}
	allHeld(t, s, held)
	srv.FreeDisk()
	server.Eventually(t, "the store takes mail again",
		func() bool { _, err := tryPut(s, "last", time.Hour, ""); return err == nil })
	if c := claimOne(t, s); c.ID != due.ID {
		t.Errorf("claimed %s", c.ID)
	}
	if _, err := s.Recall(t.Context(), held[0].ID, alice); err != nil {
		t.Error(err)
	}
	allHeld(t, s, held[1:])
	t.Logf("%d were held; then: %v", len(held), err)
}
