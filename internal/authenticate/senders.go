package authenticate

import (
	"context"
	"net/netip"
)

// TrustedAligned says whether earlier milters that are believed found a message aligned. It asks no DNS.
func (v *Verifier) TrustedAligned(m Message) bool {
	if len(v.o.Trust) == 0 {
		return false
	}
	e := Evidence{From: m.From}
	(&Verifier{o: Options{Trust: v.o.Trust}}).direct(nil, m, &e)
	return e.Aligned && e.Bare == ""
}

// Senders returns a function that says whether SPF lets a client send for From's domain, with an envelope sender of a
// domain that is aligned with it, as DNS has it now. Whatever can't be asked is no. All look-ups together are bounded
// like those of one message, and each answer is kept.
func (v *Verifier) Senders(ctx context.Context, from string) func(client netip.Addr, domain string) bool {
	if !v.checks("spf") {
		return func(netip.Addr, string) bool { return false }
	}
	q, strict := v.resolver.query(ctx), true
	if v.checks("dmarc") {
		strict = v.dmarc(q, &Evidence{From: from}).spf
	}
	type asked struct {
		client netip.Addr
		domain string
	}
	known := map[asked]bool{}
	return func(client netip.Addr, domain string) (yes bool) {
		if !aligned(domain, from, strict) {
			return false
		}
		yes, ok := known[asked{client, domain}]
		if !ok {
			yes = v.sends(q, Message{Client: client, HELO: domain, MailFrom: "postmaster@" + domain, From: from}, strict)
			known[asked{client, domain}] = yes
		}
		return yes
	}
}

func (v *Verifier) sends(q *query, m Message, strict bool) bool {
	e := Evidence{From: m.From}
	defer func() { _ = recover() }() // a panic in the library
	v.spf(q, m, &e, strict)
	e.align(m)
	return e.Aligned
}
