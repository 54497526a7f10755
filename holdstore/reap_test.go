package holdstore

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/holdstore/internal/holdid"
	"github.com/recall-milter/recall-milter/test/server"
)

// Nobody has to run fsck for a hold that no loop would meet, nor for what indexes say of holds that are gone.
func TestTheReaperAloneFixesWhatNoLoopMeets(t *testing.T) {
	t.Parallel()
	s := open(t, server.StartRedis(t).Addr)
	ctx, at, r := t.Context(), s.nodes.Shards[0], s.nodes.Client
	h := lives(t, s)
	for st, hold := range h {
		r.ZRem(ctx, stateKey(at, st), hold.ID)
		r.ZRem(ctx, endsKey(at), hold.ID[:shelfShortest]) // where the released one stands
	}
	const gone = "2222222222222"
	mine := listed(s, h[Held].ID)[0]
	for _, index := range []string{indexKey(at, "s9"), indexKey(at, mine)} {
		r.SAdd(ctx, index, holdid.Number(gone))
	}
	if f := faults(t, s, false); len(f) < 6 {
		t.Fatalf("too little harm was done: %+v", f)
	}
	var total Reaped
	server.Eventually(t, "all is fixed", func() bool {
		done, err := s.Reap(ctx)
		if err != nil {
			t.Fatal(err)
		}
		total.Repaired += done.Repaired
		total.LeasesExpired += done.LeasesExpired
		return len(faults(t, s, false)) == 0 && total.LeasesExpired > 0
	})
	if total.Repaired != 6 || total.LeasesExpired != 1 {
		t.Errorf("fixed %d, want 4 holds and 2 entries of indexes; %d leases ended, want that of the hold without one",
			total.Repaired, total.LeasesExpired)
	}
	if c := claimOne(t, s); c.ID != h[Releasing].ID || c.Attempts != 2 {
		t.Errorf("claimed %s for the %d. time, want %s, which was releasing without a lease, for the second", c.ID,
			c.Attempts, h[Releasing].ID)
	}
	for st, hold := range h {
		set, member := stateKey(at, st), hold.ID
		if st == Released {
			set, member = endsKey(at), hold.ID[:shelfShortest]
		}
		if left := r.ZScore(ctx, set, member).Val(); st != Releasing &&
			left <= float64(time.Now().UnixMilli()) {
			t.Errorf("what is %s ends at %v", st, left)
		}
	}
}

// A store in which everything is wrong is fixed in small steps, between which others get their turn.
func TestOneReapDoesABoundedPart(t *testing.T) {
	t.Parallel()
	s := openWith(t, Options{Addresses: []string{server.StartRedis(t, "--appendfsync", "no").Addr}, Durability: "relaxed"})
	ctx, at, r := t.Context(), s.nodes.Shards[0], s.nodes.Client
	const holds = 1000
	var work sync.WaitGroup
	for w := range 20 {
		work.Go(func() {
			for n := range holds / 20 {
				if _, err := tryPut(s, fmt.Sprint("m", w, "-", n), 0, "x"); err != nil {
					t.Error(err)
				}
			}
		})
	}
	work.Wait()
	for claimed := 0; claimed < holds; {
		cs, err := s.Claim(ctx, 100)
		if err != nil || len(cs) == 0 {
			t.Fatal(claimed, err)
		}
		claimed += len(cs)
	}
	r.Del(ctx, stateKey(at, Releasing))
	scans := func() (n int) {
		for line := range strings.Lines(r.Info(ctx, "commandstats").Val()) {
			fmt.Sscanf(line, "cmdstat_scan:calls=%d", &n)
		}
		return n
	}
	size := int(r.DBSize(ctx).Val())
	for calls, fixed, freed := 1, 0, 0; freed < holds; calls++ {
		before := scans()
		done, err := s.Reap(ctx)
		if err != nil {
			t.Fatal(err)
		}
		fixed, freed = fixed+done.Repaired, freed+done.LeasesExpired
		// Redis looks at whole buckets of its table, and so at some keys more.
		if done.Repaired > 2*scanBatch || done.LeasesExpired > reapBatch || scans() > before+1 {
			t.Fatalf("one call did %+v in %d steps", done, scans()-before)
		}
		if calls == 1 && fixed == holds {
			t.Fatal("all was fixed at once, so that nothing was put to the test")
		}
		if calls > size/scanBatch+holds/reapBatch+5 {
			t.Fatalf("after %d calls %d of %d are fixed, and %d held again", calls, fixed, holds, freed)
		}
	}
}
