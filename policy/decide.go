package policy

import (
	"net/netip"
	"slices"
	"time"
)

// Options are the site's rules.
type Options struct {
	Authenticated bool           // a session with a login is outbound
	Networks      []netip.Prefix // so is one from here
	DaemonNames   []string       // or through one of these services
	Grace         time.Duration  // of the rule "default"
	MaxGrace      time.Duration  // cap for wishes
	RequestHeader string         // name of the field with a sender's wish; "" ignores it
	Commands      bool           // mail may ask for a recall: its header must be seen in any case
	Rules         []Rule         // first match wins

	ParseDuration func(string) (time.Duration, error) // how a wish is read
}

// Outbound gives verdicts on messages that leave. It is never changed, so it is safe for concurrent use.
type Outbound struct {
	o          Options
	conditions [][]condition // of each rule
}

// NewOutbound returns a policy for the options.
func NewOutbound(o Options) *Outbound {
	p := &Outbound{o: o}
	for i := range o.Rules {
		p.conditions = append(p.conditions, o.Rules[i].conditions())
	}
	return p
}

// Decide says what to do with a message, as far as the facts known allow. A verdict that is certain is the same at
// every later stage; one that is not says in Hold whether to begin with a hold.
func (p *Outbound) Decide(f Facts) Verdict {
	switch {
	case !p.outbound(&f):
		return Verdict{Certain: true, Inbound: true, Reason: "inbound"}
	case f.Sender == "":
		return Verdict{Certain: true, Reason: "null sender"}
	case f.Known >= AtHeaders && f.Ours:
		return Verdict{Certain: true, Reason: "released by a gateway"}
	}
	v := p.byRule(&f)
	switch {
	case f.Known >= AtHeaders:
		p.wish(&f, &v)
	case p.o.RequestHeader != "" || p.o.Commands || v.Grace > 0: // a wish, a command, or our mark may come
		v.Certain = false
	}
	v.Hold, v.Outbound = v.Grace > 0, true
	return v
}

// outbound says whether the message leaves: a login, a network or a service says so.
func (p *Outbound) outbound(f *Facts) bool {
	return p.o.Authenticated && f.Login != "" || slices.Contains(p.o.DaemonNames, f.DaemonName) || within(p.o.Networks, f.Client)
}

// byRule finds the first rule that holds. While rules before it are open, the verdict is certain only if none of them
// holds mail.
func (p *Outbound) byRule(f *Facts) Verdict {
	v := Verdict{Certain: true, explain: f.Explain}
	for i, r := range p.o.Rules {
		a := p.meets(i, f, &v)
		if a == unknown {
			v.open(r.Name, r.Grace)
		}
		if a == yes {
			v.ruled(r.Name, r.Grace)
			return v
		}
	}
	v.ruled("default", p.o.Grace)
	return v
}

// meets asks the conditions of rule i until one does not hold.
func (p *Outbound) meets(i int, f *Facts, v *Verdict) answer {
	result := yes
	for _, c := range p.conditions[i] {
		a, words := unknown, "not known yet"
		if c.known <= f.Known {
			holds := c.holds(f)
			a, words = truth(holds), map[bool]string{true: "holds", false: "does not hold"}[holds]
		}
		v.step("rule " + p.o.Rules[i].Name + ": " + c.words + ": " + words)
		if result = min(result, a); result == no {
			return no
		}
	}
	return result
}

// open notes a rule that may still turn out to be the first that holds.
func (v *Verdict) open(rule string, grace time.Duration) {
	if v.Rule == "" || v.Grace == 0 {
		v.Rule, v.Grace, v.Reason = rule, grace, "rule "+rule+" may hold: grace "+short(grace)
	}
	v.Certain = v.Certain && grace == 0
	v.unsettled = true
}

// ruled notes the rule that holds, behind those that are open.
func (v *Verdict) ruled(rule string, grace time.Duration) {
	v.step("rule " + rule + ": grace " + short(grace))
	if v.Rule == "" || v.Grace == 0 {
		v.Certain = v.Rule == "" || v.Certain && grace == 0
		v.Rule, v.Grace, v.Reason = rule, grace, "rule "+rule+": grace "+short(grace)
	}
}

func (v *Verdict) step(words string) {
	if v.explain {
		v.Steps = append(v.Steps, words)
	}
}

// Rule returns the rule of a name; the zero rule when there is none, as for "default".
func (p *Outbound) Rule(name string) Rule {
	for _, r := range p.o.Rules {
		if r.Name == name {
			return r
		}
	}
	return Rule{}
}
