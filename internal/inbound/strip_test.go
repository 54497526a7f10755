package inbound

import (
	"reflect"
	"strings"
	"testing"

	"github.com/recall-milter/recall-milter/internal/authenticate"
	"github.com/recall-milter/recall-milter/internal/mailmsg"
	"github.com/recall-milter/recall-milter/policy"
)

func TestOnlyOnePlainAuthorIsAnAuthor(t *testing.T) {
	for from, want := range map[string]string{
		"Anna <Anna@Corp.TEST>": "anna@corp.test", `"x, y: z;" <a@corp.test>`: "a@corp.test",
		"a@corp.test (a: b;)": "a@corp.test",
		"a@münchen.test":      "a@xn--mnchen-3ya.test", "a@corp.test.": "",
		"g: a@corp.test;": "", "g:;": "", "a@corp.test, b@corp.test": "", "a": "", "a@localhost": "", "": "", "<>": "",
	} {
		m := &Mail{Message: mailmsg.Message{Fields: []policy.Field{{Name: "From", Value: " " + from}}}}
		if got, defect := author(m); got != want || (defect == "") != (want != "") {
			t.Errorf("%q is %q (%s), want %q", from, got, defect, want)
		}
	}
}

func TestFieldsAreRemovedFromTheLast(t *testing.T) {
	field := func(name string) policy.Field { return policy.Field{Name: name, Value: " gw.test; x"} }
	got := forged([]policy.Field{field("X-Recall-A"), field("From"), field("x-recall-a "), {Name: "Authentication-Results",
		Value: " other; x"},
		field("authentication-RESULTS"), {Name: "Authentication-Results", Value: " gw.test/OTHER; x"},
		{Name: "Authentication-Results", Value: " gw.test/THIS; x"}},
		"GW.test", func(id string) bool { return id == "gw.test/THIS" })
	want := []FieldIndex{{"authentication-results", 3}, {"authentication-results", 2}, {"x-recall-a", 2},
		{"x-recall-a", 1}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// Programs that decode every field before they parse it see our name in encoded words.
func TestEncodedWordsHideNoForgedResults(t *testing.T) {
	for value, want := range map[string]int{
		" =?utf-8?q?gw.test?=; recall=pass": 1, " =?US-ASCII?B?Z3cudGVzdA==?=; x": 1,
		" =?utf-8?q?gw=2E?= =?utf-8?q?test?=; x": 1,
		"\r\n\t=?iso-8859-1?q?gw.test=3B?= x":    1,
		" =?utf-8?q?=E2=80=8Bgw.test?=; x":       1, " =?utf-8?q?gw.test/4A3B2C?=; x": 1,
		" =?utf-8?q?other.test?=; gw.test": 0, " other.test; =?utf-8?q?gw.test?=": 0,
	} {
		got := forged([]policy.Field{{Name: "Authentication-Results", Value: value}}, "gw.test",
			func(string) bool { return false })
		if len(got) != want {
			t.Errorf("%q: %v", value, got)
		}
	}
}

// Bytes that have no place there hide no field that only we may write, whatever an MTA makes of them.
func TestOddBytesHideNoForgedField(t *testing.T) {
	for _, odd := range []string{"\x00", "\r", "\v", "\x7f", "\x80", "\xa0", "\xff", "\u00a0", "\u200b", "\ufeff",
		"\x00\xff\r"} {
		for what, f := range map[string]policy.Field{
			"before the name": {Name: odd + "X-Recall-Policy"}, "in the name": {Name: "X-Rec" + odd + "all-Policy"},
			"behind the name":         {Name: "X-Recall-Policy" + odd},
			"before the results":      {Name: odd + "Authentication-Results", Value: "gw.test;"},
			"behind the results":      {Name: "Authentication-Results" + odd, Value: "gw.test;"},
			"before the id":           {Name: "Authentication-Results", Value: " " + odd + "gw.test; x"},
			"behind the id":           {Name: "Authentication-Results", Value: " gw.test" + odd + "; x"},
			"behind the id, and more": {Name: "Authentication-Results", Value: " gw.test" + odd + "x; x"},
			"before a comment":        {Name: "Authentication-Results", Value: odd + "(x) gw.test; x"},
			"in a quoted id":          {Name: "Authentication-Results", Value: ` "gw.` + odd + `test"; x`},
		} {
			if what == "in a quoted id" && strings.Contains(odd, "\r") { // a blank
				continue
			}
			if got := forged([]policy.Field{{Name: "From"}, f}, "gw.test", func(string) bool { return false }); len(got) != 1 ||
				got[0].N != 1 {
				t.Errorf("%q %s: %v", odd, what, got)
			}
		}
		for _, f := range []policy.Field{{Name: "X-Recal" + odd}, {Name: "Authentication-Results", Value: " other.test" +
			odd + "; gw.test"}} {
			if got := forged([]policy.Field{f}, "gw.test", func(string) bool { return false }); len(got) > 0 {
				t.Errorf("%q: %v", f.Name+":"+f.Value, got)
			}
		}
	}
}

// Whatever comes, nothing panics, and a header that others typed ends no line.
func FuzzHeaders(f *testing.F) {
	f.Add("From", " a@corp.test", "Authentication-Results", " gw.test; x", "<a@x.test>")
	f.Add("Authentication-Results", " gw.test; x", "x", "", "a;\r\n\x00b\xff.test")
	f.Add("From", " g: (\\\"", "Date", " Tue", "")
	f.Fuzz(func(t *testing.T, n1, v1, n2, v2, text string) {
		m := &Mail{Message: mailmsg.Message{Fields: []policy.Field{{Name: n1, Value: v1}, {Name: n2, Value: v2}}}}
		author(m)
		moment(m, "Date")
		for _, s := range forged(m.Fields, "gw.test", func(string) bool { return false }) {
			if s.N < 1 || s.N > 2 {
				t.Errorf("field %d of 2", s.N)
			}
		}
		for _, long := range []string{text, strings.Repeat(text, 100)} {
			wellFormed(t, "X-Recall-Policy", header(long, policy.InboundVerdict{Result: "pass", Reason: long, Target: "x" +
				long}), 3)
			e := authenticate.Evidence{DKIM: []authenticate.Signature{{Domain: long, Result: long, Reason: long}}, SPF: long,
				SPFDomain: long, DMARC: long, From: long}
			wellFormed(t, "Authentication-Results", e.Field("gw.test", "fail"), 4)
		}
		recognise(known, &m.Message)
	})
}

// wellFormed: whatever is in a field that we write, it has its parameters and no others, each line begins one, and none
// is too long.
func wellFormed(t *testing.T, name, value string, parameters int) {
	t.Helper()
	if n := strings.Count(value, ";"); n != parameters {
		t.Errorf("%d parameters, want %d: %q", n, parameters, value)
	}
	for n, line := range strings.Split(name+": "+value, "\r\n") {
		if len(line) > 998 || strings.ContainsAny(line, "\r\n\x00") || n > 0 && !strings.HasPrefix(line, "\t") {
			t.Errorf("line %d has %d bytes: %q", n, len(line), line)
		}
	}
}

// A value that fits is on one line; one that doesn't is folded between its parameters, and whole.
func TestALongVerdictIsFolded(t *testing.T) {
	long := "<" + strings.Repeat("x", 800) + "@partner.test>"
	for target, want := range map[string]string{
		"<o@partner.test>": "pass; reason=aligned; domain=partner.test; target=<o@partner.test>",
		long:               "pass; reason=aligned; domain=partner.test; target=" + long,
	} {
		if got := header("partner.test", policy.InboundVerdict{Result: "pass", Reason: "aligned",
			Target: target}); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	domain := strings.Repeat("d.", 150) + "test"
	want := "pass;\r\n\treason=aligned;\r\n\tdomain=" + domain + ";\r\n\ttarget=" + long
	if got := header(domain, policy.InboundVerdict{Result: "pass", Reason: "aligned", Target: long}); got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
