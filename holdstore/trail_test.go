package holdstore

import (
	"fmt"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/test/server"
)

// Read from its end, the trail has the same entries as from its beginning, whatever is between two moments.
func TestTheTrailIsReadFromItsEnd(t *testing.T) {
	t.Parallel()
	s := openWith(t, Options{Addresses: []string{server.StartRedis(t).Addr}})
	for n := range 2*logPage + 7 {
		if err := s.Audit(t.Context(), "try", fmt.Sprint("ID", n), alice, "x"); err != nil {
			t.Fatal(err)
		}
	}
	var all, back []Entry
	for e, err := range s.Log(t.Context(), time.Time{}, false) {
		if all = append(all, e); err != nil {
			t.Fatal(err)
		}
	}
	for e, err := range s.LogBack(t.Context(), time.Time{}, time.Time{}) {
		if back = append(back, e); err != nil {
			t.Fatal(err)
		}
	}
	if len(all) != 2*logPage+7 || len(back) != len(all) {
		t.Fatalf("%d entries from the beginning, %d from the end", len(all), len(back))
	}
	for n, e := range back {
		if e != all[len(all)-1-n] {
			t.Fatalf("entry %d from the end is %v, want %v", n, e, all[len(all)-1-n])
		}
	}
	from, to, want := all[300].At, all[700].At, 0
	for _, e := range all {
		if !e.At.Before(from) && !e.At.After(to) {
			want++
		}
	}
	got := 0
	for e, err := range s.LogBack(t.Context(), from, to) {
		if got++; err != nil || e.At.Before(from) || e.At.After(to) {
			t.Fatalf("%v %v", e, err)
		}
	}
	if got != want {
		t.Errorf("%d entries between two moments, want %d", got, want)
	}
}
