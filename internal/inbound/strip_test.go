package inbound

import (
	"reflect"
	"strings"
	"testing"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/recall"
	"github.com/recall-milter/recall-milter/policy"
)

func TestOnlyOnePlainAuthorIsAnAuthor(t *testing.T) {
	for from, want := range map[string]string{
		"Anna <Anna@Corp.TEST>": "anna@corp.test", `"x, y: z;" <a@corp.test>`: "a@corp.test", "a@corp.test (a: b;)": "a@corp.test",
		"a@münchen.test": "a@xn--mnchen-3ya.test", "a@corp.test.": "",
		"g: a@corp.test;": "", "g:;": "", "a@corp.test, b@corp.test": "", "a": "", "a@localhost": "", "": "", "<>": "",
	} {
		m := &recall.Mail{Fields: []policy.Field{{Name: "From", Value: " " + from}}}
		if got, defect := author(m); got != want || (defect == "") != (want != "") {
			t.Errorf("%q is %q (%s), want %q", from, got, defect, want)
		}
	}
}

func TestFieldsAreRemovedFromTheLast(t *testing.T) {
	field := func(name string) policy.Field { return policy.Field{Name: name, Value: " gw.test; x"} }
	got := forged([]policy.Field{field("X-Recall-A"), field("From"), field("x-recall-a "), {Name: "Authentication-Results", Value: " other; x"},
		field("authentication-RESULTS"), {Name: "Authentication-Results", Value: " gw.test/OTHER; x"}, {Name: "Authentication-Results", Value: " gw.test/THIS; x"}},
		"GW.test", func(id string) bool { return id == "gw.test/THIS" })
	want := []Nth{{"authentication-results", 3}, {"authentication-results", 2}, {"x-recall-a", 2}, {"x-recall-a", 1}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// Whatever comes, nothing panics, and a header that others typed ends no line.
func FuzzHeaders(f *testing.F) {
	f.Add("From", " a@corp.test", "Authentication-Results", " gw.test; x", "<a@x.test>")
	f.Add("From", " g: (\\\"", "Date", " Tue", "")
	f.Fuzz(func(t *testing.T, n1, v1, n2, v2, text string) {
		m := &recall.Mail{Submission: holdstore.Submission{}, Fields: []policy.Field{{Name: n1, Value: v1}, {Name: n2, Value: v2}}}
		author(m)
		moment(m, "Date")
		for _, s := range forged(m.Fields, "gw.test", func(string) bool { return false }) {
			if s.N < 1 || s.N > 2 {
				t.Errorf("field %d of 2", s.N)
			}
		}
		if out := header(text, policy.InboundVerdict{Result: "pass", Reason: text, Target: text}); strings.ContainsAny(out, "\r\n") || strings.Count(out, ";") > 3 {
			t.Errorf("%q", out)
		}
		recall.NewRecogniser([]string{"Recall:"}).Recognise(m)
	})
}
