package exchange

import (
	"slices"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/mark"
	"github.com/recall-milter/recall-milter/policy"
)

func TestWhichDomainsAreAsked(t *testing.T) {
	h := &holdstore.Hold{ID: "1", State: holdstore.Released, Submission: holdstore.Submission{MessageID: "<1@corp.test>", Sender: holdstore.Path{Address: "anna@corp.test"}}}
	for _, to := range []string{"b@far.test", "c@FAR.test", "d@other.test", "e@sub.other.test"} {
		h.Recipients = append(h.Recipients, holdstore.Path{Address: to})
		h.Results = append(h.Results, holdstore.Result{Outcome: holdstore.Sent, At: time.Now()})
	}
	for _, c := range []struct{ patterns, want []string }{
		{[]string{"*"}, []string{"far.test", "other.test", "sub.other.test"}},
		{[]string{"far.test"}, []string{"far.test"}},
		{[]string{"!far.test"}, []string{"other.test", "sub.other.test"}},
		{[]string{"*", "!far.test"}, []string{"other.test", "sub.other.test"}},
		{[]string{"!far.test", "!*other.test"}, nil},
		{[]string{"*.test", "!sub.*"}, []string{"far.test", "other.test"}},
		{nil, nil},
	} {
		domains, err := policy.ParsePatterns(c.patterns)
		if err != nil {
			t.Fatal(err)
		}
		x := &Exchange{o: Options{Ask: true, Domains: domains}, marker: mark.New([]byte("secret"))}
		var got []string
		for _, asked := range x.requests(h, nil, "") {
			got = append(got, asked.Domain)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%q asks %q, want %q", c.patterns, got, c.want)
		}
	}
}
