package holdstore

import (
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/test/server"
)

func TestOnlyTheCaseOfASCIILettersIsIgnored(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"Boss@Corp.test", "boss@corp.TEST", true},
		{"bo\u017f\u017f@corp.test", "boss@corp.test", false},
		{"\u212aarl@corp.test", "karl@corp.test", false},
		{"J\u00d6RG@corp.test", "j\u00f6rg@corp.test", false},
		{"\u0130@corp.test", "i@corp.test", false},
		{"", "", true},
		{"a", "", false},
	} {
		if got := Same(c.a, c.b); got != c.want {
			t.Errorf("%q and %q: %v", c.a, c.b, got)
		}
	}
}

// A search for one sender finds nobody whose name Unicode would fold onto it.
func TestASearchFindsNobodyWhoOnlyLooksLikeIt(t *testing.T) {
	s := open(t, server.StartRedis(t).Addr)
	for _, sender := range []string{"Boss@corp.test", "bo\u017f\u017f@corp.test"} {
		sub := submission("m" + sender)
		sub.Sender.Address, sub.Login, sub.Recipients = sender, "", []Path{{Address: "\u212aarl@x.test"}}
		p := s.Put(sub, []byte(header("x")))
		if _, err := p.Commit(t.Context(), Terms{Grace: time.Hour}); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		q    Query
		want int
	}{
		"address":           {Query{Sender: "BOSS@corp.test"}, 1},
		"pattern":           {Query{Sender: "boss@*"}, 1},
		"the other":         {Query{Sender: "bo\u017f\u017f@*"}, 1},
		"recipient":         {Query{Recipient: "karl@x.test"}, 0},
		"recipient pattern": {Query{Recipient: "k*"}, 0},
	} {
		n := 0
		for _, err := range s.Find(t.Context(), c.q) {
			if err != nil {
				t.Fatal(err)
			}
			n++
		}
		if n != c.want {
			t.Errorf("%s: %d found, want %d", name, n, c.want)
		}
	}
	latest, err := s.Latest(t.Context(), Whose{Sender: "boss@corp.test", Client: "192.0.2.7"}, 10, nil)
	if err != nil || len(latest) != 1 || latest[0].Sender.Address != "Boss@corp.test" {
		t.Errorf("the newest of one sender: %v %v", latest, err)
	}
}
