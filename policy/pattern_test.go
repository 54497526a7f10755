package policy

import (
	"net/netip"
	"strings"
	"testing"
)

func TestPatterns(t *testing.T) {
	for _, c := range []struct {
		list, value string // patterns divided by blanks
		want        bool
	}{
		{"*@corp.test", "A@Corp.test", true}, {"*@corp.test", "a@corp.test.evil", false}, {"!*@corp.test", "a@x.test", true},
		{"ceo@*", "ceo@a.b/c", true}, {"c?o@corp.test", "cfo@corp.test", true}, {"a.b@*", "axb@x", false},
		{"[a]*", "a", false},
		{"/^(ceo|cfo)@/", "CFO@corp.test", true}, {"!/x/", "abc", true}, {"/", "/", true}, {"a@x", "a@x\n", false},
		{"*@corp.test !intern@corp.test", "intern@corp.test", false}, {"*@corp.test !intern@corp.test", "a@corp.test", true},
		{"!intern@corp.test *@corp.test", "INTERN@corp.test", false}, {"!a !b", "c", true}, {"!a !b", "b", false},
		{"*Key*", "a MONKEY wrench", true}, {"*key*", "KEY", true}, {"*key*", "k e y", false}, {"!*key*", "monkey", false},
		{"*k*y*", "monkey", true}, {"*k?y*", "monkey", true}, {"**", "", true}, {"*/a|b/*", "b", false},
		{"boss !*", "boss", false}, {"/^bo/ !/ss$/", "boss", false},
	} {
		l, err := ParsePatterns(strings.Fields(c.list))
		if err != nil || l.Match(c.value) != c.want {
			t.Errorf("%q on %q: %v, want %v", c.list, c.value, err, c.want)
		}
	}
	for _, bad := range []string{"", "!", "/(/"} {
		if _, err := ParsePatterns([]string{bad}); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
	if l := patterns(t, "*@corp.test", "!b@corp.test"); l.MatchAll(nil) || !l.MatchAll([]string{"a@corp.test"}) ||
		l.MatchAll([]string{"a@corp.test", "b@corp.test"}) || !l.Match("a@corp.test", "b@corp.test") ||
		Patterns(nil).Match("") {
		t.Errorf("%v", l)
	}
}

// Who somebody is must not change with letters that only look or fold alike.
func TestPatternsFoldASCIIOnly(t *testing.T) {
	for _, c := range []struct {
		pattern, value string
		want           bool
	}{
		{"boss@*", "BOSS@corp.test", true}, {"boss@*", "bo\u017f\u017f@corp.test", false}, {"kim", "\u212aim", false},
		{"\u212aim", "kim", false}, {"*kim*", "\u212aim", false}, {"*ss*", "BO\u017f\u017f", false},
		{"*\u00e9ric*", "(\u00e9RIC)", true}, {"*\u00e9ric*", "\u00c9ric", false}, {"*\u00e9*", "\xe2\u00e9\xe2", true},
		{"/^boss@/", "bo\u017fs@x", false}, {"/^(?i)boss@/", "BoSS@x", true}, {"/^(?i)boss@/", "bo\u017fs@x", false},
		{"/^(?i)[ks]m$/", "\u212am", false},
		{"/^[k-s]im$/", "KIM", true}, {"/^[k-s]im$/", "\u212aim", false}, {"/^[K]im$/", "kim", true},
		{"/^[^k]im$/", "Kim", false}, {"/^[^k]im$/", "\u212aim", true},
		{"/[^\\x00-\\x7f]/", "kiss@x", false}, {"/[^\\x00-\\x7f]/", "ki\u017fs@x", true},
		{"/[\\x80-\\x{10ffff}]/", "KISS", false},
		{"\u00e9ric@*", "\u00c9ric@x", false}, {"\u00e9ric@*", "\u00e9RIC@x", true}, {"/\\Wkim/", "\u212akim", true},
		{"/^\\S+$/", "a b", false},
		{"/^\\Qa.b\\E|(?:Xy)+$/", "xYxy", true}, {"/^\\d{2}k?$/", "12K", true},
	} {
		if got := patterns(t, c.pattern).Match(c.value); got != c.want {
			t.Errorf("%q on %q: %v", c.pattern, c.value, got)
		}
	}
	for _, c := range []struct {
		a, b string
		want bool
	}{{"DKIM-Signature", "dkim-SIGNATURE", true}, {"DKIM-\u017fignature", "DKIM-Signature", false}, {"a", "ab", false},
		{"[", "{", false}} {
		if equalFold(c.a, c.b) != c.want {
			t.Errorf("%q and %q", c.a, c.b)
		}
	}
}

func TestNetworks(t *testing.T) {
	for _, c := range []struct {
		list, client string
		want         bool
	}{
		{"10.0.0.0/8 !10.1.0.0/16", "10.2.0.1", true}, {"10.0.0.0/8 !10.1.0.0/16", "10.1.0.1", false},
		{"!10.1.0.0/16", "192.0.2.1", true},
		{"!10.1.0.0/16", "10.1.2.3", false}, {"127.0.0.0/8", "", true}, {"127.0.0.0/8 !127.0.0.1/32", "", false},
		{"127.0.0.0/8", "::ffff:127.0.0.9", true},
		{"2001:db8::/32", "2001:db8::1", true}, {"", "127.0.0.1", false},
	} {
		client, _ := netip.ParseAddr(c.client)
		if got := networks(t, strings.Fields(c.list)...).Contains(client); got != c.want {
			t.Errorf("%q on %q: %v", c.list, c.client, got)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"*@corp.test", "/a|b/", "!x"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if l, err := ParsePatterns([]string{text}); err == nil && !l.Match(text) && !strings.ContainsAny(text, "/!") {
			t.Errorf("%q does not mean itself", text)
		}
	})
}

// A list that gives a right names people: exclusions alone name nobody, and nobody escapes one by another name.
func TestAListThatGivesARightNamesPeople(t *testing.T) {
	for _, c := range []struct {
		list  string
		names []string
		want  bool
	}{
		{"anna", []string{"anna"}, true}, {"anna", []string{"bert", "anna"}, true}, {"anna", []string{"bert"}, false},
		{"", []string{"anna"}, false}, {"anna", nil, false}, {"*", []string{""}, false}, {"*", []string{"", "bert"}, true},
		{"!anna", []string{"bert"}, false}, {"!anna !carl", []string{"bert"}, false}, {"!/^a/", []string{"bert"}, false},
		{"* !anna", []string{"bert"}, true}, {"* !anna", []string{"anna"}, false}, {"!anna *", []string{"anna"}, false},
		{"*@it.test !anna", []string{"anna", "anna@it.test"}, false},
		{"*@it.test !anna@it.test", []string{"anna@it.test", "helpdesk@it.test"}, false},
		{"*@it.test !anna@it.test", []string{"helpdesk@it.test", "Anna@IT.test"}, false},
	} {
		list, err := ParsePatterns(strings.Fields(c.list))
		if err != nil {
			t.Fatal(err)
		}
		if got := list.Names(c.names...); got != c.want {
			t.Errorf("%q names %q: %v", c.list, c.names, got)
		}
	}
}
