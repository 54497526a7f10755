package policy

import (
	"net/netip"
	"path"
	"strings"
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
	Rules         []Rule         // first match wins

	ParseDuration func(string) (time.Duration, error) // how a wish is read
}

// Rule is one rule; a condition that is empty holds always. Patterns are globs, "!" negates.
type Rule struct {
	Name                     string
	Sender, Recipient, Login []string
	Grace                    time.Duration
}

// Outbound gives verdicts on messages that leave. It is never changed, so it is safe for concurrent use.
type Outbound struct{ o Options }

// NewOutbound returns a policy for the options.
func NewOutbound(o Options) *Outbound { return &Outbound{o} }

// Decide says what to do with a message, as far as the facts known allow.
func (p *Outbound) Decide(f Facts) Verdict {
	switch {
	case !p.outbound(f):
		return Verdict{Certain: true, Reason: "inbound"}
	case f.Sender == "":
		return Verdict{Certain: true, Reason: "null sender"}
	case f.Known < AtHeaders:
		return Verdict{Reason: "headers not seen yet"}
	case f.Ours:
		return Verdict{Certain: true, Reason: "released by a gateway"}
	}
	v := p.byRule(f)
	p.wish(f, &v)
	v.Hold = v.Grace > 0
	v.Certain = true
	return v
}

// outbound says whether the message leaves: a login, a network or a service says so. sendmail(1) has no client
// address, and is the gateway itself.
func (p *Outbound) outbound(f Facts) bool {
	if p.o.Authenticated && f.Login != "" {
		return true
	}
	for _, name := range p.o.DaemonNames {
		if name == f.DaemonName {
			return true
		}
	}
	client := f.Client.Unmap()
	if !client.IsValid() {
		client = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	for _, network := range p.o.Networks {
		if network.Contains(client) {
			return true
		}
	}
	return false
}

func (p *Outbound) byRule(f Facts) Verdict {
	for _, r := range p.o.Rules {
		if anyMatches(r.Sender, f.Sender) && anyMatches(r.Login, f.Login) && anyMatches(r.Recipient, f.Recipients...) {
			return Verdict{Rule: r.Name, Grace: r.Grace, Reason: "rule " + r.Name + ": grace " + r.Grace.String()}
		}
	}
	return Verdict{Rule: "default", Grace: p.o.Grace, Reason: "rule default: grace " + p.o.Grace.String()}
}

// anyMatches says whether at least one value matches at least one pattern; no patterns: always.
func anyMatches(patterns []string, values ...string) bool {
	for _, value := range values {
		for _, pattern := range patterns {
			if match(pattern, value) {
				return true
			}
		}
	}
	return len(patterns) == 0
}

func match(pattern, value string) bool {
	glob, negated := strings.CutPrefix(strings.ToLower(pattern), "!")
	ok, err := path.Match(glob, strings.ToLower(value))
	return err == nil && ok != negated
}

// wish applies what the sender asked for.
func (p *Outbound) wish(f Facts, v *Verdict) {
	if p.o.RequestHeader == "" {
		return
	}
	for _, field := range f.Header {
		if !strings.EqualFold(field.Name, p.o.RequestHeader) {
			continue
		}
		if !signed(f.Header, field.Name) {
			v.Wish = field.Name
		}
		text := strings.TrimSpace(field.Value)
		grace, err := p.o.ParseDuration(text)
		if text == "0" {
			grace, err = 0, nil
		}
		switch {
		case err != nil:
			v.Reason += "; wish not understood"
		case grace > p.o.MaxGrace:
			v.Grace = p.o.MaxGrace
			v.Reason = "asked for " + grace.String() + ", capped to " + p.o.MaxGrace.String()
		default:
			v.Grace, v.Reason = grace, "asked for "+grace.String()
		}
		return
	}
}

// signed says whether a DKIM signature covers the field (RFC 6376 section 3.5, tag h): then it must stay.
func signed(header []Field, name string) bool {
	for _, field := range header {
		if !strings.EqualFold(field.Name, "DKIM-Signature") {
			continue
		}
		for _, tag := range strings.Split(field.Value, ";") {
			key, list, _ := strings.Cut(tag, "=")
			if strings.TrimSpace(key) != "h" {
				continue
			}
			for _, covered := range strings.Split(list, ":") {
				if strings.EqualFold(strings.TrimSpace(covered), name) {
					return true
				}
			}
		}
	}
	return false
}
