// Package authenticate finds out who really sent a message: SPF (RFC 7208), DKIM (RFC 6376), and whether one of
// them is aligned with the From address (DMARC, RFC 7489 section 3.1); and what trusted intermediaries have found
// (ARC, RFC 8617). DNS is asked for recall commands and statuses only; of ordinary mail it says no more than what
// earlier milters found.
//
// Failure rule: whatever goes wrong, nothing is authentic. What may go right later is marked as temporary.
package authenticate

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"github.com/recall-milter/recall-milter/policy"
)

const checkTime = 15 * time.Second // for all of one message

// Message is what is to be checked.
type Message struct {
	Client   netip.Addr
	HELO     string
	MailFrom string // envelope sender without <>; "" is the null sender
	From     string // the domain of the one address in From, lower case, in A-labels
	QueueID  string // of the MTA that is receiving it
	Header   []policy.Field
	Body     []byte
	Cover    []string // fields that a signature must cover besides From
}

// Options say what is checked here and who is believed.
type Options struct {
	Methods []string // "dkim", "spf", "dmarc": what no earlier milter found is checked here
	Trust   []string // authserv-ids of earlier milters
	Sealers []string // domains whose ARC seals are believed
}

// Verifier checks messages. Safe for concurrent use.
type Verifier struct {
	resolver *Resolver
	o        Options
}

// New returns a verifier. Where nobody looks for a DMARC record, only a domain equal to From's is aligned.
func New(resolver *Resolver, o Options) *Verifier { return &Verifier{resolver, o} }

func (v *Verifier) checks(method string) bool { return slices.Contains(v.o.Methods, method) }

// Check authenticates one message. ARC is asked only where sealers are named, and only if nothing is aligned without it
// or what is aligned leaves a field of Cover uncovered. A panic in a library counts as a permanent error of the check.
func (v *Verifier) Check(ctx context.Context, m Message) (e Evidence) {
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	e = Evidence{SPF: None, DMARC: None, From: m.From}
	defer func() {
		if r := recover(); r != nil {
			e = Evidence{SPF: PermError, DMARC: PermError, From: m.From}
		}
	}()
	q := v.resolver.query(ctx)
	strict := v.direct(q, m, &e)
	if len(v.o.Sealers) > 0 && (!e.Aligned || e.Bare != "") {
		v.arc(q, m, &e, strict)
	}
	if e.Aligned {
		e.Temporary = false
	}
	return e
}

// direct asks the methods that need nobody in between. It returns whether alignment is strict for DKIM.
func (v *Verifier) direct(q *query, m Message, e *Evidence) bool {
	believed := v.believe(m, e)
	strict := strictest
	loose, told := e.takeDMARC(believed["dmarc"])
	switch {
	case loose:
		strict = alignment{}
	case !told && v.checks("dmarc"):
		strict = v.dmarc(q, e)
	}
	if results := believed["dkim"]; len(results) > 0 {
		e.takeDKIM(m, results, strict.dkim)
	} else if v.checks("dkim") {
		v.dkim(q, m, e, strict.dkim)
	}
	if !e.takeSPF(m, believed["spf"], strict.spf) && v.checks("spf") {
		v.spf(q, m, e, strict.spf)
	}
	e.align(m)
	switch {
	case e.DMARC == Fail && told: // a believed milter asked for the record: nothing direct is aligned; a seal still can be
		e.Aligned, e.By, e.Bare, e.Names = false, "", "", false
	case e.DMARC == Fail && e.Aligned:
		e.DMARC = Pass
	}
	return strict.dkim
}
