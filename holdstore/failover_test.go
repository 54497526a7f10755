package holdstore

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/test/server"
)

func openWith(t *testing.T, o Options) *Store {
	t.Helper()
	if o.Durability == "" {
		o.Durability = "strict"
	}
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func watched(w *server.Watched) Options {
	return Options{Addresses: w.Addrs(), SentinelMaster: server.SentinelName, Replicas: 1}
}

// harm is a way for a server to go, and to come back.
type harm struct {
	name     string
	hurt, on func(n int)
}

func harms(t *testing.T, nodes []*server.Redis, replica func(of, m int) bool) []harm {
	behind := func(n int) { // replicas whose links are cut before the primary dies have not all that it had
		for m := range nodes {
			if m != n && replica(n, m) {
				nodes[m].Pause()
				defer nodes[m].Resume()
			}
		}
		nodes[n].Do("CLIENT KILL TYPE replica")
		had := nodes[n].Offset()
		server.Eventually(t, "the primary has written more than its replicas have",
			func() bool { return nodes[n].Offset() > had+20_000 })
		nodes[n].Kill()
	}
	return []harm{
		{"killed", behind, func(n int) { nodes[n].Start() }},
		{"stopped", func(n int) { nodes[n].Pause() }, func(n int) { nodes[n].Resume() }},
	}
}

// A primary that dies, hangs or is cut off loses nothing that a replica has acknowledged.
func TestFailoversOfSentinelLoseNothing(t *testing.T) {
	t.Parallel()
	w := server.StartWatched(t, server.Soon, "")
	c := newCrowd(func() *Store { return openWith(t, watched(w)) })
	all := harms(t, w.Nodes, func(int, int) bool { return true })
	if long() {
		all = append(all,
			harm{"cut off", func(n int) { w.Fronts[n].To("") }, func(n int) { w.Fronts[n].To(w.Nodes[n].Addr) }})
	}
	c.work(t, func() {
		c.works(t)
		for _, h := range all {
			old := w.Primary()
			n := slices.Index(w.Nodes, old)
			h.hurt(n)
			w.Successor(t, old)
			c.works(t)
			h.on(n)
			server.Eventually(t, "the old one follows", old.Follows)
			c.tell(t, h.name)
		}
	})
}

// The same on a Cluster, where a third of the holds is concerned.
func TestFailoversOfAClusterLoseNothing(t *testing.T) {
	t.Parallel()
	w := server.StartCluster(t, server.Soon)
	c := newCrowd(func() *Store { return openWith(t, Options{Addresses: w.Addrs(), Replicas: 1}) })
	c.work(t, func() {
		c.works(t)
		for n, h := range harms(t, w.Nodes, func(of, m int) bool { return w.Nodes[m].FollowsOne(w.Nodes[of]) }) {
			before := w.Masters()
			h.hurt(n)
			w.Successor(t, before)
			c.works(t)
			h.on(n)
			server.Eventually(t, "the old one follows", w.Nodes[n].Follows)
			c.tell(t, h.name)
		}
	})
}

// A primary that was cut off from all but us answers as if nothing were wrong. Nothing that it says then counts.
func TestAPrimaryThatIsCutOffPromisesNothing(t *testing.T) {
	t.Parallel()
	w := server.StartWatched(t, server.Soon, "")
	old := openWith(t, Options{Addresses: []string{w.Nodes[0].Addr}, Replicas: 1})
	new := openWith(t, watched(w))
	ctx := t.Context()
	kept, due := put(t, old, "kept", time.Hour, ""), put(t, old, "due", time.Hour, "")
	// the old one refuses by itself once it knows
	unaware := openWith(t, Options{Addresses: []string{w.Nodes[0].Addr}, Replicas: 1})
	put(t, unaware, "before", time.Hour, "")
	w.Fronts[0].To("")
	if _, err := old.Recall(ctx, kept.ID, alice); !errors.Is(err, ErrUnavailable) ||
		!strings.Contains(err.Error(), "failover") {
		t.Errorf("recall: %v", err)
	}
	if _, err := old.Release(ctx, due.ID, alice); err == nil {
		t.Error("released")
	}
	if cs, err := old.Claim(ctx, 9); len(cs) > 0 || err == nil {
		t.Errorf("claimed %v, %v", cs, err)
	}
	if _, err := tryPut(unaware, "lost", time.Hour, ""); !errors.Is(err, ErrNotDurable) {
		t.Errorf("held: %v", err)
	}
	w.Successor(t, w.Nodes[0])
	for id, mark := range map[string]string{kept.ID: "kept", due.ID: "due"} {
		server.Eventually(t, "the new primary answers", func() bool {
			h, err := new.Get(ctx, id)
			if err == nil && (h.State != Held || h.Attempts != 0) {
				t.Errorf("%s is %s", mark, h.State)
			}
			return err == nil
		})
	}
	w.Fronts[0].To(w.Nodes[0].Addr)
	server.Eventually(t, "the old one follows", w.Nodes[0].Follows)
	if hs, err := new.Resolve(ctx, "lost@Mid.test"); err != nil || len(hs) > 0 {
		t.Errorf("what was not acknowledged: %v, %v", hs, err)
	}
	if _, err := new.Recall(ctx, kept.ID, alice); err != nil {
		t.Error(err)
	}
}
