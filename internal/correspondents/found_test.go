package correspondents

import (
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/policy"
)

// What was found is not looked up again for a while, also when the store is away; what was not found always is.
func TestWhatWasFoundIsBelievedForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &shelf{pairs: map[holdstore.Pair]bool{}, since: holdstore.Day(time.Now()) - 30}
		b := New(s, year, nil)
		b.Use([]byte("secret"))
		key := Key([]byte("secret"))
		teach := func(to string) { s.Acquaint(t.Context(), Sent(key, "anna@corp.test", []string{to}, s.since), year) }
		found := func(to string) bool {
			q := written("anna@corp.test", to)
			return b.Ask(t.Context(), []policy.Question{q})[q].Found
		}
		teach("b@far.test")
		if !found("b@far.test") || found("c@far.test") {
			t.Fatal("the store is not asked")
		}
		teach("c@far.test")
		if !found("c@far.test") {
			t.Error("what was not found is not looked up again")
		}
		s.setAway(true)
		if !found("b@far.test") || found("d@far.test") {
			t.Error("with the store away what was found is forgotten, or more is known")
		}
		s.setAway(false)
		clear(s.pairs)
		if !found("b@far.test") {
			t.Error("what was found is looked up again at once")
		}
		time.Sleep(believed + time.Second)
		if found("b@far.test") {
			t.Error("what was found is believed for too long")
		}
		teach("b@far.test")
		if !found("b@far.test") {
			t.Fatal("the store is not asked")
		}
		clear(s.pairs)
		b.Keep(year)
		if found("b@far.test") {
			t.Error("what was found is believed with another setting")
		}
	})
}

func TestNotVeryMuchIsBelieved(t *testing.T) {
	t.Parallel()
	var f found
	key := Key([]byte("secret"))
	for n := range 2*mostBelieved + 10 {
		f.add(holdstore.Pair{Contact: Name(key, strconv.Itoa(n))})
		if len(f.pairs) > mostBelieved {
			t.Fatalf("%d pairs", len(f.pairs))
		}
	}
	if len(f.pairs) != 10 || !f.any([]holdstore.Pair{{Contact: Name(key, strconv.Itoa(2*mostBelieved+9))}}) {
		t.Errorf("%d pairs, and what came last is unknown", len(f.pairs))
	}
}
