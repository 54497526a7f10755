package policy

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

// remote is a list that names a socketmap.
func remote(t *testing.T, texts ...string) Patterns {
	t.Helper()
	l, err := ParseLists(texts, func(name string) (List, error) { return Socketmap(name), nil })
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// settled decides as a session does: at the headers, with the answers of a map, and at the end. It fails where a
// verdict that was certain changes, or a message would go out sooner than at its end.
func settled(t *testing.T, p *Outbound, f Facts, answers map[string]Answer) Verdict {
	t.Helper()
	f.Known, f.Earlier = AtHeaders, &Earlier{}
	first := p.Decide(f)
	f.Answers = map[Question]Answer{}
	for _, q := range first.Asks {
		f.Answers[q] = answers[q.Key]
	}
	if len(first.Asks) > 0 && first.Certain {
		t.Errorf("certain, and asks %v", first.Asks)
	}
	v := p.Decide(f)
	if len(v.Asks) > 0 {
		t.Errorf("asks twice: %v and %v", first.Asks, v.Asks)
	}
	f.Earlier = nil
	if again := p.Decide(f); !reflect.DeepEqual(v, again) {
		t.Errorf("%+v, and with nothing from earlier %+v", v, again)
	}
	f.Known = AtEnd
	end := p.Decide(f)
	if !end.Certain || v.Certain && (v.Hold != end.Hold || v.Grace != end.Grace) || end.Hold && !v.Hold {
		t.Errorf("at the headers %+v, at the end %+v", v, end)
	}
	return end
}

var (
	found   = Answer{Known: true, Found: true}
	missing = Answer{Known: true}
)

// when is a condition on a list, unless it is empty.
func when(condition func(Patterns) Condition, l Patterns) (all []Condition) {
	if len(l) > 0 {
		all = append(all, condition(l))
	}
	return all
}

// With many rules, most of a decision is about rules that can't hold: when an answer has come they are not asked again.
// When the rules have changed meanwhile, all of them are.
func TestWhenAnswersComeNoRuleIsAskedAgainThatCannotHold(t *testing.T) {
	t.Parallel()
	asked := 0
	never := simple("never", AtHeaders, func(*Outbound, *Facts) bool { asked++; return false })
	o := Options{Authenticated: true, Grace: time.Minute, Rules: []Rule{{Name: "out", Conditions: []Condition{never}},
		{Name: "map", Conditions: []Condition{IfSender(remote(t, "@m"))}, Grace: time.Hour}}}
	p := NewOutbound(o)
	f := Facts{Known: AtHeaders, Login: "a", Sender: "a@x.test", Earlier: &Earlier{}}
	first := p.Decide(f)
	f.Answers = map[Question]Answer{{Map: "m", Key: "a@x.test"}: found}
	if v := p.Decide(f); len(first.Asks) != 1 || asked != 1 || v.Rule != "map" {
		t.Errorf("asked %d times: %+v, then %+v", asked, first, v)
	}
	o.Rules = []Rule{{Name: "new", Grace: time.Second}}
	if v := NewOutbound(o).Decide(f); v.Rule != "new" {
		t.Errorf("after the rules have changed: %+v", v)
	}
}

// Many rules can ask for the same field, and decoding is what costs most.
func TestAFieldIsDecodedOnceForAllRules(t *testing.T) {
	t.Parallel()
	decoded := 0
	o := Options{Authenticated: true, Grace: time.Minute, Decode: func(v string) string { decoded++; return unfold(v) }}
	for _, word := range []string{"*one*", "*two*", "*three*"} {
		o.Rules = append(o.Rules, Rule{Name: word, Conditions: []Condition{IfHeader("Subject", patterns(t, word))}})
	}
	v := NewOutbound(o).Decide(Facts{Known: AtHeaders, Login: "a", Sender: "a@x.test",
		Header: []Field{{"Subject", " about three"}, {"To", " b@x.test"}}})
	if decoded != 1 || v.Rule != "*three*" {
		t.Errorf("decoded %d times: %+v", decoded, v)
	}
}

// Without an answer, a message waits as long as the longest of the answers could have made it wait.
func TestWithoutAnAnswerTheLongestGraceCounts(t *testing.T) {
	t.Parallel()
	const vip, quick = 10 * time.Minute, time.Duration(0)
	rules := func(quickList, vipList Patterns) *Outbound {
		return NewOutbound(Options{Authenticated: true, Grace: 2 * time.Minute, MaxGrace: time.Hour,
			ParseDuration: time.ParseDuration, Rules: []Rule{
				{Name: "quick", Conditions: when(IfSender, quickList), Grace: quick},
				{Name: "vip", Conditions: when(IfRecipient, vipList), Grace: vip}}})
	}
	f := Facts{Login: "a", Sender: "A@corp.test", Recipients: []string{"b@x.test", "c@y.test"}}
	for name, c := range map[string]struct {
		answers map[string]Answer
		want    time.Duration
	}{
		"nobody": {map[string]Answer{"a@corp.test": missing, "b@x.test": missing, "c@y.test": missing},
			2 * time.Minute},
		"the sender":         {map[string]Answer{"a@corp.test": found}, quick},
		"one recipient":      {map[string]Answer{"a@corp.test": missing, "c@y.test": found}, vip},
		"no answers":         {nil, vip},
		"the sender unknown": {map[string]Answer{"b@x.test": missing, "c@y.test": missing}, 2 * time.Minute},
		"one unknown":        {map[string]Answer{"a@corp.test": missing, "b@x.test": missing}, vip},
	} {
		v := settled(t, rules(remote(t, "@m"), remote(t, "@m")), f, c.answers)
		if v.Grace != c.want || v.Hold != (c.want > 0) {
			t.Errorf("%s: %v, want %v: %s", name, v.Grace, c.want, v.Reason)
		}
	}
	// Exclusions: what would let a message go without a hold is the worse.
	all := rules(remote(t, "*", "!@m"), nil)
	if v := settled(t, all, f, map[string]Answer{"a@corp.test": missing}); v.Hold {
		t.Errorf("not excluded: %+v", v)
	}
	if v := settled(t, all, f, nil); !v.Hold {
		t.Errorf("perhaps excluded, and passes: %+v", v)
	}
	// A sender with an answer of their own needs none.
	if v := settled(t, rules(remote(t, "a@*", "@m"), nil), f, nil); v.Hold {
		t.Errorf("in the list, and held: %+v", v)
	}
	if v := rules(remote(t, "@m"), nil).Decide(Facts{Known: AtEnd, Login: "a", Sender: "a@x.test"}); !v.Hold ||
		!strings.Contains(v.Reason.Text, "not all of what it depends on is known") {
		t.Errorf("nobody asks: %+v", v)
	}
}
