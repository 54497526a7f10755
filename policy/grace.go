package policy

import (
	"cmp"
	"strings"
	"time"
)

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

// byRule is what a rule means for a message, if it is the first that holds: its moment counts, else its map, else its
// own grace, else the site's or what the sender has chosen. The sender's wish comes later (wish.go).
func (p *Outbound) byRule(r *Rule, f *Facts) outcome {
	o := outcome{rule: r.Name, wish: cmp.Or(r.Wish, p.o.Wish), grace: r.Grace}
	switch {
	case r.Until != nil:
		return p.until(r, f, o)
	case r.Graces == nil && r.AsSite:
		o.grace, o.from = p.site(f)
	case r.Graces != nil:
		var open bool
		if o.grace, open = p.mapped(r, f); o.grace < 0 {
			o.grace, o.from = p.site(f)
		}
		if open {
			o.from += ", the longest, as " + r.Graces.Name() + " has not said which"
		}
	}
	return o
}

// until is the outcome of a rule that holds mail until a moment.
func (p *Outbound) until(r *Rule, f *Facts, o outcome) outcome {
	next, found := r.Until.Next(f.Now, &r.Calendar)
	if !found {
		o.grace = p.longest()
		o.from = ", the longest, because no \"" + r.Until.String() + "\" comes within a year"
		return o
	}
	o.grace, o.until = next.Sub(f.Now), next
	return o
}

// longest is the longest grace where nobody knows which is meant.
func (p *Outbound) longest() time.Duration { return max(p.o.MaxGrace, p.o.Grace) }

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
		return p.longest(), true
	}
	return -1, false
}

// DefaultGrace is the entry of a map that means the grace of the site.
const DefaultGrace = "default"

// bounded makes the longest grace that an answer can mean a known one.
func (p *Outbound) bounded(grace time.Duration, remote bool) time.Duration {
	if remote {
		return min(grace, p.longest())
	}
	return grace
}
