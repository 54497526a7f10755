package policy

import (
	"strings"
	"time"
)

// Question is what a rule wants to know of a socketmap, a service that somebody else runs, or of the memory of
// correspondents. The policy asks nobody; it says in Verdict.Asks what it needs to know, and finds the answers in
// Facts.Answers.
type Question struct {
	Map    string // the name of a socketmap; WrittenTo or DomainKnown
	Key    string // in lower case
	Sender string // of WrittenTo: whose correspondent the key is
}

// Answer is what is said of a key; the zero value is that nobody could be asked.
type Answer struct {
	Known bool   // it has answered
	Found bool   // it has the key
	Text  string // what it has for the key
}

// Socketmap is a list that only its server has: a value is in it when the server has the value in lower case as a key.
// It is only for the conditions of rules, which wait for an answer.
type Socketmap string

// Name is the address and the name of the map.
func (m Socketmap) Name() string { return string(m) }

// Entries returns none: nobody but the server knows them.
func (m Socketmap) Entries() *Entries { return &Entries{} }

// has asks whether a map has a key.
func (f *Facts) has(m Socketmap, key string) (answer, string) {
	return f.ask(Question{Map: string(m), Key: lowered(key)})
}

// ask returns the answer to a question; unknown until it has come. It notes a question that nobody has asked yet.
func (f *Facts) ask(q Question) (answer, string) {
	a, asked := f.Answers[q]
	switch {
	case a.Known && a.Found:
		return yes, a.Text
	case a.Known:
		return no, ""
	case !asked && f.asks != nil:
		f.asks[q] = true
	}
	return unknown, ""
}

// Graces is a map from addresses, "@domain" and "*" to graces.
type Graces interface {
	Name() string
	// Grace returns the entry of a key in lower case; line 0: there is none. Its text is a duration, or "default".
	Grace(key string) (text string, line int)
}

// Grace returns what a server has for a key; nobody but the server knows.
func (m Socketmap) Grace(string) (string, int) { return "", 0 }

// graceKeys are what is looked up for an address, the first that is there counts.
func graceKeys(address string) []string {
	address = lowered(address)
	return []string{address, address[max(0, strings.LastIndexByte(address, '@')):], "*"}
}

// grace returns the grace of a rule for a message, and where it comes from; open: it is not known, and this is the
// longest that is possible.
func (p *Outbound) grace(r *Rule, f *Facts) (grace time.Duration, from string, open bool) {
	if r.Graces == nil && r.AsSite {
		grace, from = p.site(f)
		return grace, from, false
	}
	if r.Graces == nil {
		return r.Grace, "", false
	}
	grace, open = p.mapped(r, f)
	if grace < 0 {
		grace, from = p.site(f)
	}
	return grace, from, open
}

// mapped returns the grace of a rule with a map; below 0: the site's.
func (p *Outbound) mapped(r *Rule, f *Facts) (grace time.Duration, open bool) {
	m, remote := r.Graces.(Socketmap)
	for _, key := range graceKeys(f.Sender) {
		text, line := "", 0
		if remote {
			var a answer
			a, text = f.has(m, key)
			open = open || a == unknown
			if a == yes {
				line = 1
			}
		} else {
			text, line = r.Graces.Grace(key)
		}
		if open || line <= 0 {
			continue
		}
		if text == DefaultGrace {
			return -1, false
		}
		if grace, err := p.o.ParseDuration(text); err == nil {
			return p.bounded(grace, remote), false
		}
		open = true // an answer that says nothing
	}
	if open {
		return max(p.o.MaxGrace, p.o.Grace), true
	}
	return -1, false
}

// DefaultGrace is the entry of a map that means the grace of the site.
const DefaultGrace = "default"

// bounded makes the longest grace that an answer can mean a known one.
func (p *Outbound) bounded(grace time.Duration, remote bool) time.Duration {
	if remote {
		return min(grace, max(p.o.MaxGrace, p.o.Grace))
	}
	return grace
}
