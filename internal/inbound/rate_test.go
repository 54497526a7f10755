package inbound

import (
	"fmt"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/policy"
)

// A command counts for its organisation, whatever the subdomain; whoever has asked for little may still ask when a
// colleague has used up the rate; recalls of nothing use up nothing; and a command that comes in pieces is one.
func TestOneAuthorUsesUpNobodyElsesRate(t *testing.T) {
	t.Parallel()
	_, verifier, store, _ := surroundings(t)
	everybody, _ := policy.ParsePatterns([]string{"*"})
	rule := policy.InboundRule{Name: "default", Partners: everybody, Require: []string{"aligned"}, MaxAge: 7 * day,
		Rate: 5, Per: time.Hour, OnFail: "reject"}
	g := New(Options{AuthservID: "gw.corp.test", Prefixes: []string{"Recall:"}, Verifier: verifier,
		Rules: policy.InboundRules{rule}}, store, nil, quiet{})
	commands := 0
	// one says whether a command keeps the rate; again sends it to somebody else as well.
	one := func(from string, known bool, recipients int) bool {
		t.Helper()
		commands++
		m := &Mail{Submission: holdstore.Submission{MessageID: fmt.Sprintf("<c%d@x>", commands)}}
		for n := range recipients {
			m.Recipients = append(m.Recipients, holdstore.Path{Address: fmt.Sprintf("r%d@corp.test", n)})
		}
		c := policy.Command{From: from, Domain: holdstore.DomainOf(from)}
		if known {
			c.Targets = []policy.Arrived{{SameFrom: true, SameTo: true}}
		}
		for range 2 {
			if err := g.count(t.Context(), g.read(m), Recall{}, rule, &c); err != nil {
				t.Fatal(err)
			}
		}
		return rule.Keeps(c)
	}
	for n := range 30 {
		if kept := one("anna@partner.test", false, 1); kept != (n < 5) {
			t.Errorf("recall %d of nothing: %v", n, kept)
		}
	}
	for n := range 10 {
		if kept := one(fmt.Sprintf("mallory@sub%d.partner.test", n%3), true, 1); kept != (n < 5) && n != 5 {
			t.Errorf("command %d of an organisation: %v", n, kept)
		}
	}
	if !one("anna@partner.test", true, 1) {
		t.Error("a colleague who has asked for nothing yet is refused")
	}
	if one("anna@partner.test", true, 1) {
		t.Error("a colleague asks again, and is not refused")
	}
	if one("anna@other.test", true, 5001) {
		t.Error("one command for more recipients than the rate allows")
	}
	for n := range 500 {
		one(fmt.Sprintf("x%d@evil.test", n), true, 1)
	}
	if one("new@evil.test", true, 1) {
		t.Error("an organisation with any number of authors is not refused")
	}
}
