package correspondents

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/policy"
)

// alarms counts what a rule says of the messages of a time.
type alarms struct{ messages, all, wrong, typos, found int }

func (a *alarms) String() string {
	per := func(n, of int) string { return fmt.Sprintf("%.1f", float64(n)*1000/float64(of)) }
	return fmt.Sprintf("%d | %s | %s | %d of %d", a.messages, per(a.all, a.messages), per(a.wrong, a.messages), a.found,
		a.typos)
}

// site is an office with a memory and one rule.
type site struct {
	policy *policy.Outbound
	book   *Book
	counts map[string]*alarms // by time

	asksDomains bool // the rule is lookalike
}

func newSite(t *testing.T, rule policy.Condition, known map[[2]string]bool) *site {
	t.Helper()
	domains, err := policy.ParsePatterns([]string{local})
	if err != nil {
		t.Fatal(err)
	}
	s := &shelf{pairs: map[holdstore.Pair]bool{}}
	x := &site{counts: map[string]*alarms{}, book: New(s, year, nil),
		policy: policy.NewOutbound(policy.Options{Authenticated: true, Grace: time.Minute, MaxGrace: time.Hour,
			LocalDomains: domains, Rules: []policy.Rule{{Name: "asks", Grace: time.Hour,
				Conditions: []policy.Condition{rule}}}})}
	x.book.Use([]byte("secret"))
	for pair := range known { // of a mail log
		day := holdstore.Day(time.Now()) - 30
		_ = s.Acquaint(t.Context(), Sent(*x.book.key.Load(), pair[0], []string{pair[1]}, day), year)
	}
	return x
}

// matches says whether the rule takes a message.
func (x *site) matches(ctx context.Context, m message) bool {
	f := policy.Facts{Known: policy.AtEnd, Login: "p", Sender: m.from, Recipients: m.to,
		Answers: map[policy.Question]policy.Answer{}}
	v := x.policy.Decide(f)
	for len(v.Asks) > 0 {
		for q, a := range x.book.Ask(ctx, v.Asks) {
			f.Answers[q] = a
		}
		v = x.policy.Decide(f)
	}
	return v.Rule == "asks"
}

// sees has a message pass, counts what the rule says, and learns. What is mistyped and found is taken back.
func (x *site) sees(ctx context.Context, m message) {
	if m.came {
		x.book.NoteCame(m.from, m.to)
		return
	}
	alarm, when := x.matches(ctx, m), "1-14"
	switch day := int(m.at/(24*time.Hour)) + 1; {
	case day > 56:
		when = "57-138"
	case day > 28:
		when = "29-56"
	case day > 14:
		when = "15-28"
	}
	a := x.counts[when]
	if a == nil {
		a = &alarms{}
		x.counts[when] = a
	}
	a.messages++
	if m.typo {
		a.typos++
	}
	if alarm {
		a.all++
		switch {
		case m.typo:
			a.found++
		case m.met || x.asksDomains: // a domain that is meant resembles no other
			a.wrong++
		}
	}
	if !alarm || !m.typo {
		x.book.NoteSent(m.from, m.to)
	}
}

// see has sites live through some working days of the corpus.
func see(t *testing.T, c *corpus, workdays int, sites ...*site) {
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan bool)
	for _, x := range sites {
		go func() { x.book.Run(ctx); ended <- true }()
	}
	begin := time.Now()
	c.messages(workdays, func(m message) {
		time.Sleep(m.at - time.Since(begin)) // fake time
		for _, x := range sites {
			x.sees(ctx, m)
		}
	})
	cancel()
	for range sites {
		<-ended
	}
}

// With a mail log, nobody to whom the sender has written before is a first contact, and each mistyped address is.
func TestFirstContactsAreRightWithAMailLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCorpus()
		x := newSite(t, policy.IfFirstContact(true), c.known)
		see(t, c, 4, x)
		if a := x.counts["1-14"]; a.messages != 4*perDay || a.wrong > 0 || a.typos < 3 || a.found != a.typos {
			t.Errorf("%+v", a)
		}
	})
}

// The manual says how often the rules of first contacts and lookalikes are wrong: what this measures, on 25,000
// messages that leave and some 37,500 that come in. make corpus runs it.
func TestTheManualSaysHowOftenContactsAreWrong(t *testing.T) {
	if os.Getenv("CORPUS") == "" {
		t.Skip("it takes seconds: make corpus")
	}
	synctest.Test(t, func(t *testing.T) {
		c := newCorpus()
		first, lookalike := newSite(t, policy.IfFirstContact(true), nil), newSite(t, policy.IfLookalike(true), nil)
		lookalike.asksDomains = true
		logged := newSite(t, policy.IfFirstContact(true), c.known)
		see(t, c, 100, first, lookalike, logged)
		text, err := os.ReadFile("../../docs/rules.md")
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range []struct {
			rule string
			site *site
		}{{"`first_contact`", first}, {"the same, after an import of a mail log", logged}, {"`lookalike`", lookalike}} {
			for _, when := range []string{"1-14", "15-28", "29-56", "57-138"} {
				line := fmt.Sprintf("| %s | %s | %s |", row.rule, when, row.site.counts[when])
				if t.Log(line); !strings.Contains(string(text), line+"\n") {
					t.Errorf("docs/rules.md has no line %s", line)
				}
			}
		}
	})
}
