package authenticate

import (
	"fmt"
	"strings"

	"golang.org/x/net/publicsuffix"
)

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
	Bare  string
	Names bool   // what is aligned covers To and Cc as well, so nobody else wrote an address there
	By    string // "dkim=DOMAIN", "spf=DOMAIN" or "arc=SEALER": what is aligned
	// not aligned, and something could not be asked now: a later try may end differently. Never with Aligned, not even
	// when Bare is set: such a command fails for good
	Temporary bool
	proofs    []proof // that align has not judged yet
}

// coverage says which of some fields a piece of evidence leaves uncovered; empty: none.
type coverage func(fields []string) (bare string)

// whole is the coverage of what comes straight from where it was written.
func whole([]string) string { return "" }

// these is the coverage of a signature.
func these(signed []string) coverage {
	return func(fields []string) string { return missing(signed, fields) }
}

// proof is a domain that a method has proved.
type proof struct {
	by, domain string
	covers     coverage
	strict     bool // it counts only when it is equal to From's domain
}

// align says what the proofs so far amount to. The first that is aligned counts, unless a later one covers more.
func (e *Evidence) align(m Message) {
	for _, p := range e.proofs {
		bare, names := p.covers(m.Cover), p.covers(m.names()) == ""
		better := e.Bare != "" && bare == "" || (e.Bare == "") == (bare == "") && !e.Names && names
		if aligned(p.domain, e.From, p.strict) && (!e.Aligned || better) {
			e.Aligned, e.By, e.Bare, e.Names = true, p.by, bare, names
		}
	}
	e.proofs = nil
}

// names lists the fields of the message that name its recipients.
func (m Message) names() (fields []string) {
	for _, name := range []string{"To", "Cc"} {
		for _, f := range m.Header {
			if f.Is(name) {
				fields = append(fields, name)
			}
		}
	}
	return fields
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

// Why says in a few words why nothing is aligned with From.
func (e Evidence) Why() string {
	var all []string
	if e.Bare != "" {
		all = append(all, "the signature does not cover "+e.Bare)
	}
	for _, s := range e.DKIM {
		reason, _, _ := strings.Cut(s.Reason, ": lookup ") // which resolver we have is nobody's business
		all = append(all, strings.TrimSpace("dkim="+s.Result+" "+s.Domain+" "+reason))
	}
	if len(e.DKIM) == 0 {
		all = append(all, "no DKIM signature")
	}
	if e.Unseen > 0 {
		all = append(all, fmt.Sprintf("%d DKIM signatures were not looked at", e.Unseen))
	}
	all = append(all, "spf="+e.SPF+" "+e.SPFDomain)
	if e.ARC.Result != "" {
		all = append(all, strings.TrimSpace("arc="+e.ARC.Result+" "+e.ARC.Domain+" "+e.ARC.Reason))
	}
	if e.Doubt != "" {
		all = append(all, e.Doubt)
	}
	return strings.Join(all, ", ")
}
