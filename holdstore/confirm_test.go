package holdstore

import (
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/test/server"
)

// What nobody confirmed is forgotten in time, and what is still waited for stays.
func TestReapForgetsOldFingerprints(t *testing.T) {
	t.Parallel()
	s := open(t, server.StartRedis(t).Addr)
	ctx, at := t.Context(), s.nodes.Shards[0]
	old, young := put(t, s, "old", time.Hour, ""), put(t, s, "young", time.Hour, "")
	pack(s, old.ID, func(p string) string { return stamp(time.Now().Add(-unconfirmedFor)) + p[13:] })
	s.nodes.Client.HSet(ctx, string(at)+"u", "gone", "2222222222222")
	if _, err := s.Reap(ctx); err != nil {
		t.Fatal(err)
	}
	if all := s.nodes.Client.HGetAll(ctx, string(at)+"u").Val(); len(all) != 1 || all[young.print] != young.ID {
		t.Errorf("unconfirmed: %v", all)
	}
	if again := put(t, s, "old", time.Hour, ""); again.Found {
		t.Error("what is that old was taken for a retry")
	}
}

// Messages that end at the same moment, some of them twice: each of them is held once, and a confirmation that travels
// with others takes back no other's.
func TestCommitsOfOneBatch(t *testing.T) {
	t.Parallel()
	s := open(t, server.StartRedis(t).Addr)
	l := s.commits[s.nodes.Shards[0]]
	l.going = 1 // nobody sends before all wait
	receipts := make(chan Committed)
	const n = 10
	for i := range 2 * n {
		go func() {
			r, err := tryPut(s, string(rune('a'+i%n)), time.Hour, "body")
			if err != nil {
				t.Error(err)
			}
			receipts <- r
		}()
	}
	server.Eventually(t, "all wait", func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return len(l.waiting) == 2*n
	})
	s.work.Go(l.run)
	times := map[string]int{}
	for range 2 * n {
		times[(<-receipts).ID]++
	}
	for id, n := range times {
		if _, err := read(t, s, id); err != nil || n != 2 {
			t.Errorf("%s was told %d times, and is %v", id, n, err)
		}
	}
	st, err := s.Stats(t.Context())
	if err != nil || st.Count[Held] != n || len(times) != n {
		t.Errorf("%+v, %d IDs, %v", st, len(times), err)
	}
	if f := faults(t, s, false); len(f) > 0 {
		t.Errorf("faults: %+v", f)
	}
}
