package holdstore

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/holdstore/internal/holdid"
	"github.com/recall-milter/recall-milter/test/server"
)

// Scripts and Go make the same numbers of IDs: else an ID that the one lists is not found, or stays forever, by the
// other.
func TestScriptsMakeTheNumbersThatGoMakes(t *testing.T) {
	t.Parallel()
	s := open(t, server.StartRedis(t).Addr)
	ids := []string{"2222222222222", "2222222322222", "2222222232222", "ZZZZZZZZZZZZZ", "A222222222222", "no ID"}
	for n := range 1000 {
		ids = append(ids, holdid.New(time.Date(2026, 1, 1, n, 0, 0, n*7919, time.UTC).AddDate(n%12, 0, n)))
	}
	numbers := drain("local all = {}\nfor n, id in ipairs(ARGV) do all[n] = numberOf(id) end\nreturn all")
	back := drain("local all = {}\nfor n, text in ipairs(ARGV) do all[n] = idOf(text) end\nreturn all")
	got, err := s.nodes.Run(t.Context(), s.nodes.Shards[0], numbers, anys(ids)...).StringSlice()
	again, wrong := s.nodes.Run(t.Context(), s.nodes.Shards[0], back, anys(got)...).StringSlice()
	if err != nil || wrong != nil || !slices.Equal(again, ids) {
		t.Fatal(err, wrong, len(again))
	}
	for n, id := range ids {
		if got[n] != holdid.Number(id) {
			t.Errorf("%s has number %s in a script, and %s", id, got[n], holdid.Number(id))
		}
	}
}

// A name that very many messages have is read in pages, also together with another one; so is what only shares an entry
// with it.
func TestASearchReadsAllOfALongEntry(t *testing.T) {
	t.Parallel()
	s := openWith(t, Options{Addresses: []string{server.StartRedis(t, "--appendfsync", "no").Addr}, Durability: "relaxed"})
	const holds = 2*indexPage + 100
	ids := many(t, s, "m", holds, func(int) time.Duration { return time.Hour })
	for _, q := range []Query{{Login: "m"}, {Login: "m", Since: time.Now().Add(-time.Minute)}} {
		var got []string
		for h, err := range s.Find(t.Context(), q) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, h.ID)
		}
		if slices.Sort(ids); !slices.Equal(distinct(got), ids) {
			t.Errorf("%+v: %d of %d", q, len(got), len(ids))
		}
	}
	for _, q := range []Query{{Login: "m", Since: time.Now().Add(2 * idSlack)},
		{Login: "m", Until: time.Now().Add(-2 * idSlack)}} {
		q.Progress = func(looked, _ int) { t.Errorf("%+v: looked at %d", q, looked) }
		for h, err := range s.Find(t.Context(), q) {
			t.Errorf("%+v: %v %v", q, h, err)
		}
	}
	for fault, err := range s.Fsck(t.Context(), false, nil) {
		t.Errorf("%+v %v", fault, err)
	}
	s.nodes.Client.SAdd(t.Context(), indexKey(s.nodes.Shards[0], s.entry("s", "m")), holdid.Number("2222222222222"))
	if f := faults(t, s, false); len(f) != 1 || f[0].Name != fmt.Sprintf("index %s: 2222222222222", s.entry("s", "m")) {
		t.Errorf("%+v", f)
	}
}
