package policy

import (
	"cmp"
	"maps"
	"slices"
	"sync/atomic"
	"time"
)

// Options are the site's rules.
type Options struct {
	Authenticated bool          // a session with a login is outbound
	Networks      Networks      // so is one from here
	DaemonNames   []string      // or through one of these services
	Grace         time.Duration // of the rule "default"
	MaxGrace      time.Duration // cap for wishes
	RequestHeader string        // name of the field with a sender's wish; "": there is none
	Wish          Wish          // what it may do, where a rule does not say otherwise
	Commands      bool          // mail may ask for a recall: its header must be seen in any case
	Rules         []Rule        // first match wins
	LocalDomains  Patterns      // of the site's own people
	OwnGrace      *OwnGrace     // nil: people may not choose their own

	ParseDuration func(string) (time.Duration, error) // how a wish is read
	Decode        func(string) string                 // the text of a field's value, which may be folded and encoded
}

// Outbound gives verdicts on messages that leave. Safe for concurrent use.
type Outbound struct {
	o        Options
	compared atomic.Pointer[compared] // how local domains look
}

// NewOutbound returns a policy for the options.
func NewOutbound(o Options) *Outbound {
	if o.Decode == nil {
		o.Decode = unfold
	}
	return &Outbound{o: o}
}

// Decide says what to do with a message, as far as the facts known allow. A verdict that is certain is the same at
// every later stage; one that is not says in Hold whether to begin with a hold.
func (p *Outbound) Decide(f Facts) Verdict {
	switch {
	case !p.outbound(&f):
		return Verdict{Certain: true, Inbound: true, Reason: Reason{Inbound, "inbound"}}
	case f.Sender == "":
		return Verdict{Certain: true, Reason: Reason{NullSender, "null sender"}}
	case f.Known >= AtHeaders && f.Ours:
		return Verdict{Certain: true, Reason: Reason{OwnMail, "released by a gateway"}}
	}
	v := Verdict{Outbound: true, explain: f.Explain}
	f.asks = map[Question]bool{}
	possible := p.possible(&f, &v)
	if f.Known >= AtHeaders {
		p.wish(&f, &v, possible)
	}
	v.choose(possible, f.Known)
	v.asks(f.asks)
	// a wish, a command, or our mark may come
	if f.Known < AtHeaders && (p.o.RequestHeader != "" || p.o.Commands || v.Hold) {
		v.Certain = false
	}
	return v
}

// outbound says whether the message leaves: a login, a network or a service says so.
func (p *Outbound) outbound(f *Facts) bool {
	return p.o.Authenticated && f.Login != "" || slices.Contains(p.o.DaemonNames, f.DaemonName) ||
		p.o.Networks.Contains(f.Client)
}

// outcome is what a rule means for the message, if the rule is the first that holds.
type outcome struct {
	rule   string
	wish   Wish
	grace  time.Duration
	until  time.Time // when the grace ends, where that is a moment of the calendar; zero: it is not
	from   string    // where the grace comes from, behind it
	reason Reason
}

// possible returns what is possible: an outcome for each rule that might still hold, and at last for the one that does.
// Before the header almost all rules might, and nobody is asked anything: as soon as the first one holds the message
// and is not the only one, the others change nothing.
func (p *Outbound) possible(f *Facts, v *Verdict) (possible []outcome) {
	out := f.Earlier.rules(p)
	for i := range p.o.Rules {
		r := &p.o.Rules[i]
		if out != nil && out[i] && !f.Explain {
			continue
		}
		a := p.meets(r, f, v)
		if a == no {
			if out != nil {
				out[i] = true
			}
			continue
		}
		o := p.byRule(r, f)
		if f.Explain && !o.until.IsZero() {
			for _, day := range r.Until.skips(f.Now, o.until, &r.Calendar) {
				v.step("rule " + r.Name + ": grace until " + r.Until.String() + ": " + day)
			}
		}
		if a == yes {
			o.reason = o.because(":", o.from)
			v.step(o.reason.Text)
			return append(possible, o)
		}
		o.reason = o.because(" might hold:", "")
		possible = append(possible, o)
		if f.Known < AtHeaders && !f.Explain && len(possible) > 1 && possible[0].grace > 0 {
			return possible
		}
	}
	o := outcome{rule: DefaultRule, wish: p.o.Wish}
	o.grace, o.from = p.site(f)
	o.reason = o.because(":", o.from)
	v.step(o.reason.Text)
	return append(possible, o)
}

// because says which rule holds, or might, and for how long.
func (o *outcome) because(how, from string) Reason {
	grace := Short(o.grace)
	if !o.until.IsZero() {
		grace = "until " + Clock(o.until)
	}
	return Reason{ByRule, "rule " + o.rule + how + " grace " + grace + from}
}

// choose takes the first outcome that holds the message, or the first of all. It is certain when it is the only one, or
// when none holds the message.
//
// At the end, several are left only when somebody has not answered, or not all files are known: then the longest is
// taken.
func (v *Verdict) choose(possible []outcome, known Stage) {
	n := max(0, slices.IndexFunc(possible, func(o outcome) bool { return o.grace > 0 }))
	chosen := possible[n]
	if known == AtEnd && len(possible) > 1 {
		chosen = slices.MaxFunc(possible, func(a, b outcome) int { return cmp.Compare(a.grace, b.grace) })
		possible = possible[:1]
		chosen.reason.Text += "; not all of what it depends on is known, and this is the longest that was possible"
	}
	v.Rule, v.Grace, v.Reason, v.Hold = chosen.rule, chosen.grace, chosen.reason, chosen.grace > 0
	v.Until = chosen.until
	v.Certain = len(possible) == 1 || !v.Hold
}

// meets asks the conditions of a rule until one does not hold.
func (p *Outbound) meets(r *Rule, f *Facts, v *Verdict) answer {
	result := yes
	for n := range r.Conditions {
		c := &r.Conditions[n]
		a, by := unknown, Mention{}
		v.Files = v.Files || c.files && f.Known < c.known
		if c.known <= f.Known {
			a, by = c.holds(p, f)
		}
		if v.explain {
			v.step("rule " + r.Name + ": " + c.words + ": " + a.words(by))
		}
		if result = min(result, a); result == no {
			return no
		}
	}
	return result
}

// asks adds the questions that nobody has answered yet. Before the end, their answers can change everything.
func (v *Verdict) asks(open map[Question]bool) {
	v.Asks = slices.SortedFunc(maps.Keys(open), func(a, b Question) int {
		return cmp.Or(cmp.Compare(a.Map, b.Map), cmp.Compare(a.Key, b.Key), cmp.Compare(a.Sender, b.Sender))
	})
	v.Certain = v.Certain && len(v.Asks) == 0
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
