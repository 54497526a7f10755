// Package authenticate finds out who really sent a message: SPF (RFC 7208), DKIM (RFC 6376), and whether one of
// them is aligned with the From address (DMARC, RFC 7489 section 3.1). It is asked for recall commands only, so that
// ordinary mail costs no DNS.
//
// Failure rule: whatever goes wrong, nothing is authentic. What may go right later is marked as temporary.
package authenticate

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/publicsuffix"

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

// Results of a method (RFC 8601 section 2.7).
const (
	Pass      = "pass"
	Fail      = "fail"
	None      = "none"
	TempError = "temperror"
	PermError = "permerror"
)

// Signature is one DKIM signature.
type Signature struct {
	Domain string
	Result string
	Reason string // why it did not pass
}

// Evidence is what a check brought.
type Evidence struct {
	DKIM      []Signature
	Unseen    int // DKIM signatures that were not looked at: a message may have any number
	SPF       string
	SPFDomain string // of MAIL FROM, or HELO for the null sender
	DMARC     string
	ARC       Signature // of the newest seal; no result: there is none, or nobody asked
	From      string    // domain
	Believed  []string  // methods whose results an earlier milter brought
	Doubt     string    // why claims of earlier milters are not believed
	Aligned   bool      // a method passed whose domain is aligned with From
	// a field to Cover that no aligned evidence covers, so that somebody else may have added it; empty: all are
	Bare      string
	Names     bool   // what is aligned covers To and Cc as well, so nobody else wrote an address there
	By        string // "dkim=DOMAIN", "spf=DOMAIN" or "arc=SEALER": what is aligned
	Temporary bool   // not aligned, and something could not be asked now: a later try may end differently
}

// coverage says which of some fields a piece of evidence leaves uncovered; empty: none.
type coverage func(fields []string) (bare string)

// whole is the coverage of what comes straight from where it was written.
func whole([]string) string { return "" }

// these is the coverage of a signature.
func these(signed []string) coverage {
	return func(fields []string) string { return missing(signed, fields) }
}

// passed notes that a domain is authentic, which counts when it is aligned.
func (e *Evidence) passed(m Message, by, domain string, covers coverage, strict bool) {
	bare, names := covers(m.Cover), covers(m.names()) == ""
	better := e.Bare != "" && bare == "" || (e.Bare == "") == (bare == "") && !e.Names && names
	if !aligned(domain, e.From, strict) || e.Aligned && !better {
		return
	}
	e.Aligned, e.By, e.Bare, e.Names = true, by, bare, names
}

// names lists the fields of the message that name its recipients.
func (m Message) names() (fields []string) {
	for _, name := range []string{"To", "Cc"} {
		for _, f := range m.Header {
			if isField(f, name) {
				fields = append(fields, name)
			}
		}
	}
	return fields
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

// Check authenticates one message. A panic in a library counts as a permanent error of the check.
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
	switch {
	case e.DMARC == Fail && told: // whoever asks for the record has the last word
		e.Aligned, e.By, e.Bare, e.Names = false, "", "", false
	case e.DMARC == Fail && e.Aligned:
		e.DMARC = Pass
	}
	return strict.dkim
}

// Sealed says whether what is aligned rests on the ARC seal of a list or forwarder that is believed.
func (e Evidence) Sealed() bool { return e.Aligned && strings.HasPrefix(e.By, "arc=") }

// aligned compares an authenticated domain with From's (RFC 7489 section 3.1): equal, or when it is not strict, of the
// same organisation.
func aligned(domain, from string, strict bool) bool {
	if domain == "" || from == "" {
		return false
	}
	return domain == from || !strict && Organisation(domain) == Organisation(from)
}

// Organisation is the organisational domain by the public suffix list; a domain that has none is its own.
func Organisation(domain string) string {
	if org, err := publicsuffix.EffectiveTLDPlusOne(domain); err == nil {
		return org
	}
	return domain
}

// Field returns the value of an Authentication-Results field (RFC 8601 section 2.2). recall is the result of
// "x-recall".
func (e Evidence) Field(authservID, recall string) string {
	var b strings.Builder
	b.WriteString(authservID)
	for _, s := range e.DKIM {
		fmt.Fprintf(&b, ";\r\n\tdkim=%s header.d=%s", token(s.Result), token(s.Domain))
	}
	if len(e.DKIM) == 0 {
		b.WriteString(";\r\n\tdkim=none")
	}
	fmt.Fprintf(&b, ";\r\n\tspf=%s smtp.mailfrom=%s;\r\n\tdmarc=%s header.from=%s", token(e.SPF), token(e.SPFDomain),
		token(e.DMARC), token(e.From))
	if e.ARC.Result != "" {
		b.WriteString(";\r\n\tarc=" + e.ARC.Result)
	}
	if recall != "" {
		b.WriteString(";\r\n\tx-recall=" + recall)
	}
	return b.String()
}

// token keeps a domain, or a result, that somebody typed from ending the field, forging a result in it, or making its
// line too long.
func token(s string) string {
	s = strings.Map(func(r rune) rune {
		if r == '-' || r == '.' || r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' ||
			r >= 0x80 {
			return r
		}
		return '?'
	}, s)
	if s == "" || len(s) > 255 {
		return "unknown"
	}
	return s
}
