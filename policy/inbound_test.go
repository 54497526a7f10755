package policy

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// What each piece of evidence is worth, whatever the form of the command.
func TestVerdictsOnRecallCommands(t *testing.T) {
	now := time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)
	any, _ := ParsePatterns([]string{"*"})
	some, _ := ParsePatterns([]string{"friend.test"})
	aligned := InboundRule{Require: []string{"aligned"}, Partners: any, MaxAge: time.Hour, Rate: 2, Per: time.Hour}
	key := aligned
	key.Require = []string{"cancel_key"}
	both := aligned
	both.Require = []string{"aligned", "cancel_key"}
	few := aligned
	few.Partners = some
	target := func(edit func(*Arrived)) []Arrived {
		a := Arrived{MessageID: "<o@p.test>", At: now.Add(-time.Minute), SameFrom: true, SameTo: true}
		edit(&a)
		return []Arrived{a}
	}
	cases := []struct {
		name           string
		rules          InboundRule
		edit           func(*Command)
		result, reason string
	}{
		{"genuine", aligned, func(*Command) {}, "pass", "aligned"},
		{"not authenticated", aligned, func(c *Command) { c.Aligned = false }, "fail", "not authenticated"},
		{"not authenticated, key asked for and shown", key,
			func(c *Command) { c.Aligned = false; c.Targets = target(func(a *Arrived) { a.Unlocked = true }) }, "pass",
			"cancel-key"},
		{"key asked for and wrong", key, func(*Command) {}, "fail", "no Cancel-Key"},
		{"key asked for and wrong, not authenticated", key, func(c *Command) { c.Aligned = false }, "fail", "no Cancel-Key"},
		{"key asked for, nothing known, not authenticated", key, func(c *Command) { c.Aligned = false; c.Targets = nil },
			"fail", "no Cancel-Key"},
		{"key shown, not authenticated, both asked for", both,
			func(c *Command) { c.Aligned = false; c.Targets = target(func(a *Arrived) { a.Unlocked = true }) }, "fail",
			"not authenticated"},
		{"key shown for our own domain from outside", key, func(c *Command) {
			c.Aligned, c.Local = false, true
			c.Targets = target(func(a *Arrived) { a.Unlocked = true })
		}, "fail", "forged, a local domain"},
		{"DNS away", aligned, func(c *Command) { c.Aligned = false; c.Temporary = "DNS" }, "temperror", "DNS"},
		{"two From", aligned, func(c *Command) { c.Defect = "more than one field From" }, "fail", "more than one"},
		{"null sender", aligned, func(c *Command) { c.NullSender = true }, "fail", "null sender"},
		{"not a partner", few, func(*Command) {}, "fail", "not a partner"},
		{"used", aligned, func(c *Command) { c.Used = true }, "fail", "used before"},
		{"over the rate", aligned, func(c *Command) { c.Count = 3 }, "fail", "too many"},
		{"expired", aligned, func(c *Command) { c.Expires = now.Add(-time.Second) }, "fail", "expired"},
		{"sent long ago", aligned, func(c *Command) { c.Sent = now.Add(-2 * time.Hour) }, "fail", "expired"},
		{"sent in the future", aligned, func(c *Command) { c.Sent = now.Add(time.Hour) }, "fail", "expired"},
		{"no such message", aligned, func(c *Command) { c.Targets = nil }, "none", "no message"},
		{"another sender's message", aligned,
			func(c *Command) { c.Targets = target(func(a *Arrived) { a.SameFrom = false }) }, "none", "no message"},
		{"another recipient's message", aligned,
			func(c *Command) { c.Targets = target(func(a *Arrived) { a.SameTo = false }) }, "none", "no message"},
		{"an old message", aligned,
			func(c *Command) { c.Targets = target(func(a *Arrived) { a.At = now.Add(-2 * time.Hour) }) }, "fail", "too old"},
	}
	for _, test := range cases {
		c := Command{Domain: "p.test", Aligned: true, Sent: now, Now: now, Count: 1, Targets: target(func(*Arrived) {})}
		test.edit(&c)
		v := test.rules.Judge(c)
		if v.Result != test.result || !strings.Contains(v.Reason, test.reason) || (v.Target != "") != (v.Result == "pass") {
			t.Errorf("%s: %+v", test.name, v)
		}
	}
}

func TestTheFirstRuleOfADomainDecides(t *testing.T) {
	rule := func(name string, partners ...string) InboundRule {
		p, err := ParsePatterns(partners)
		if err != nil {
			t.Fatal(err)
		}
		return InboundRule{Name: name, Partners: p}
	}
	rules := InboundRules{rule("bank", "bank.test", "*.bank.test"), rule("all banks", "*bank.test"),
		rule("default", "friend.test")}
	for domain, want := range map[string]string{"bank.test": "bank", "BANK.test": "bank", "a.bank.test": "bank",
		"otherbank.test": "all banks",
		"friend.test":    "default", "stranger.test": "default", "": "default"} {
		if got := rules.For(domain); got.Name != want {
			t.Errorf("%q falls under %s, want %s", domain, got.Name, want)
		}
	}
	c := Command{Domain: "stranger.test", Aligned: true}
	if v := rules.For(c.Domain).Judge(c); v.Reason != "domain is not a partner" || v.Rule != "default" {
		t.Errorf("%+v", v)
	}
}

// Of several messages that a command can mean, what is proven goes before what is new.
func TestWhichOfSeveralMessagesIsMeant(t *testing.T) {
	at := time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)
	all := map[string]Arrived{
		"old": {At: at}, "new": {At: at.Add(time.Hour)}, "own": {At: at, Own: true},
		"newer own": {At: at.Add(time.Minute), Own: true},
		"opened":    {At: at, Unlocked: true}, "another's": {At: at.Add(2 * time.Hour), Own: true, Unlocked: true},
	}
	for _, c := range []struct {
		want  string
		among []string
	}{{"", nil}, {"", []string{"another's"}}, {"new", []string{"old", "new"}},
		{"own", []string{"new", "own", "old", "another's"}},
		{"newer own", []string{"own", "newer own", "new"}}, {"opened", []string{"newer own", "opened", "new"}}} {
		for range 2 { // in either order
			var command Command
			for _, name := range c.among {
				a := all[name]
				a.MessageID, a.SameFrom, a.SameTo = name, true, name != "another's"
				command.Targets = append(command.Targets, a)
			}
			got := ""
			if target := command.Target(); target != nil {
				got = target.MessageID
			}
			if got != c.want {
				t.Errorf("of %v it means %q, want %q", c.among, got, c.want)
			}
			slices.Reverse(c.among)
		}
	}
}
