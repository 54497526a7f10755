package policy

import (
	"testing"
	"time"
)

// What is asked early is what the decision then needs; rules that the envelope rules out ask nothing.
func TestWhatIsForeseenIsWhatIsAskedLater(t *testing.T) {
	t.Parallel()
	first, sales := IfFirstContact(true), patterns(t, "*@sales.test")
	for _, c := range []struct {
		name  string
		rules []Rule
		from  string
		want  int // questions, early and later
	}{
		{"no rule asks", []Rule{{Conditions: []Condition{IfSender(sales)}}}, "a@sales.test", 0},
		{"for all", []Rule{{Conditions: []Condition{IfHeader("X", sales)}}, {Conditions: []Condition{first}}}, "a@x.test", 1},
		{"for some", []Rule{{Conditions: []Condition{IfSender(sales), first}}}, "a@sales.test", 1},
		{"not for others", []Rule{{Conditions: []Condition{first, IfSender(sales)}}}, "a@x.test", 0},
		{"behind a rule that takes it", []Rule{{Conditions: []Condition{IfSender(sales)}}, {Conditions: []Condition{first}}},
			"a@sales.test", 0},
		{"not from nobody", []Rule{{Conditions: []Condition{first}}}, "", 0},
		{"a socketmap", []Rule{{Conditions: []Condition{IfSender(remote(t, "@m")), first}}}, "a@x.test", 1},
		{"lookalikes", []Rule{{Conditions: []Condition{IfLookalike(true)}}}, "a@x.test", 1},
	} {
		p := NewOutbound(Options{Authenticated: true, Grace: time.Minute, Rules: c.rules})
		f := Facts{Login: "a", Sender: c.from, Recipients: []string{"b@gmial.com"}}
		early := p.Foresee(f)
		f.Known = AtHeaders
		later := map[Question]bool{}
		for _, q := range p.Decide(f).Asks {
			later[q] = true
		}
		if len(early) != c.want {
			t.Errorf("%s: foreseen %v", c.name, early)
		}
		for _, q := range early {
			if !later[q] {
				t.Errorf("%s: %v is not asked later: %v", c.name, q, later)
			}
		}
		if at := (Facts{Known: AtMail, Login: "a", Sender: "a@x.test"}); p.Decide(at).Memory != (c.name != "no rule asks") {
			t.Errorf("%s: %+v", c.name, p.Decide(at))
		}
	}
}
