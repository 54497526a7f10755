package holdstore

import (
	"fmt"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/test/server"
)

// What a dry run says of a message is what the act says a moment later.
func TestWhatAnActWouldSayIsWhatItSays(t *testing.T) {
	redis := server.StartRedis(t)
	s := open(t, redis.Addr)
	const first, second, stranger = "bob@far.test", "carol\xff@far.test", "nobody@far.test"
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	settle := func(st Settlement) { must(s.Settle(t.Context(), claimOne(t, s), st)) }
	only := func(id string, address string) {
		_, err := s.RecallOnly(t.Context(), id, []string{address}, alice)
		must(err)
	}
	sent := Result{Outcome: Sent}
	states := map[string]func(mark string) (id string){
		"held": func(mark string) string { return put(t, s, mark, time.Hour, "x").ID },
		"recalled": func(mark string) string {
			id := put(t, s, mark, time.Hour, "x").ID
			_, err := s.Recall(t.Context(), id, alice)
			must(err)
			return id
		},
		"held for one": func(mark string) string {
			id := put(t, s, mark, time.Hour, "x").ID
			only(id, first)
			return id
		},
		"sent to one": func(mark string) string {
			id := put(t, s, mark, 0, "x").ID
			settle(Settlement{Results: map[int]Result{0: sent}, RetryIn: time.Hour})
			return id
		},
		"sent to one, taken back for the other": func(mark string) string {
			id := put(t, s, mark, 0, "x").ID
			settle(Settlement{Results: map[int]Result{0: sent}, RetryIn: time.Hour})
			only(id, second)
			return id
		},
		"releasing": func(mark string) string {
			id := put(t, s, mark, 0, "x").ID
			claimOne(t, s)
			return id
		},
		"released": func(mark string) string {
			id := put(t, s, mark, 0, "x").ID
			settle(Settlement{Results: map[int]Result{0: sent, 1: sent}})
			return id
		},
	}
	type act struct {
		would func(h *Hold) error
		does  func(id string) error
	}
	byAction := func(d Action) act {
		return act{d.Would, func(id string) error {
			acted, err := s.do(t.Context(), d, s.nodes.Of(id), []string{id}, alice)
			if err != nil {
				return err
			}
			return acted[0].Err
		}}
	}
	byAddress := func(addresses ...string) act {
		return act{func(h *Hold) error { return WouldRecallOnly(h, addresses) }, func(id string) error {
			_, err := s.RecallOnly(t.Context(), id, addresses, alice)
			return err
		}}
	}
	acts := map[string]act{"recall": byAction(s.Recalling()), "release": byAction(s.Releasing()),
		"extend": byAction(s.Extending(time.Minute)), "restore": byAction(s.Restoring()),
		"only the first": byAddress(first), "only the second": byAddress(second), "only both": byAddress(first, second),
		"only a stranger": byAddress(stranger)}
	n := 0
	for state, reach := range states {
		for name, a := range acts {
			redis.Do("FLUSHALL") // what an act has made due is not claimed in place of another
			n++
			id := reach(fmt.Sprint("m", n))
			h, err := s.Get(t.Context(), id)
			must(err)
			would, did := a.would(h), a.does(id)
			if fmt.Sprint(would) != fmt.Sprint(did) {
				t.Errorf("%s of what is %s: would say %v, says %v", name, state, would, did)
			}
		}
	}
}
