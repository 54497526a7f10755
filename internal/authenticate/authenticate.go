// Package authenticate finds out who really sent a message: SPF (RFC 7208), DKIM (RFC 6376), and whether one of
// them is aligned with the From address (DMARC, RFC 7489 section 3.1). It is asked for recall commands only, so that
// ordinary mail costs no DNS.
//
// Failure rule: whatever goes wrong, nothing is authentic. What may go right later is marked as temporary.
package authenticate

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"blitiri.com.ar/go/spf"
	"github.com/emersion/go-msgauth/dkim"
	"github.com/emersion/go-msgauth/dmarc"
	"golang.org/x/net/publicsuffix"
)

const (
	checkTime     = 15 * time.Second // for all of one message
	maxSignatures = 5
)

// Message is what is to be checked.
type Message struct {
	Client   netip.Addr
	HELO     string
	MailFrom string   // envelope sender without <>; "" is the null sender
	From     string   // the domain of the one address in From, lower case, in A-labels
	Content  []byte   // the whole message as it was received
	Cover    []string // fields that a DKIM signature must cover besides From
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
	SPF       string
	SPFDomain string // of MAIL FROM, or HELO for the null sender
	DMARC     string
	From      string // domain
	Aligned   bool   // a method passed whose domain is aligned with From
	Bare      string // a field to Cover that no aligned evidence covers, so that somebody else may have added it; empty: all are
	By        string // "dkim=DOMAIN" or "spf=DOMAIN": what is aligned
	Temporary bool   // not aligned, and something could not be asked now: a later try may end differently
}

// Verifier checks messages. Safe for concurrent use.
type Verifier struct {
	resolver *Resolver
	methods  map[string]bool
}

// New returns a verifier for some of the methods "dkim", "spf" and "dmarc". Without dmarc no record is asked for,
// and only a domain equal to From's is aligned.
func New(resolver *Resolver, methods []string) *Verifier {
	v := &Verifier{resolver, map[string]bool{}}
	for _, m := range methods {
		v.methods[m] = true
	}
	return v
}

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
	strict := func(string) bool { return true }
	if v.methods["dmarc"] {
		strict = v.dmarc(q, &e)
	}
	if v.methods["dkim"] {
		v.dkim(q, m, &e, strict("dkim"))
	}
	if v.methods["spf"] {
		v.spf(q, m, &e, strict("spf"))
	}
	if e.Aligned {
		e.Temporary = false
	}
	if e.Aligned && e.DMARC == Fail {
		e.DMARC = Pass
	}
	return e
}

// dmarc looks for the policy record of From's domain, then of its organisation (RFC 7489 section 6.6.3). The answer
// says whether alignment is strict for a method: it is where no record allows more.
func (v *Verifier) dmarc(q *query, e *Evidence) func(method string) bool {
	options := &dmarc.LookupOptions{LookupTXT: q.txt}
	record, err := dmarc.LookupWithOptions(e.From, options)
	if org := organisation(e.From); errors.Is(err, dmarc.ErrNoPolicy) && org != e.From {
		record, err = dmarc.LookupWithOptions(org, options)
	}
	switch {
	case err == nil:
		e.DMARC = Fail // until something is aligned
	case dmarc.IsTempFail(err):
		e.DMARC, e.Temporary = TempError, true
	case !errors.Is(err, dmarc.ErrNoPolicy):
		e.DMARC = PermError
	}
	return func(method string) bool {
		return err != nil || method == "dkim" && record.DKIMAlignment == dmarc.AlignmentStrict ||
			method == "spf" && record.SPFAlignment == dmarc.AlignmentStrict
	}
}

func (v *Verifier) dkim(q *query, m Message, e *Evidence, strict bool) {
	checks, err := dkim.VerifyWithOptions(bytes.NewReader(m.Content), &dkim.VerifyOptions{LookupTXT: q.txt, MaxVerifications: maxSignatures})
	if err != nil && !errors.Is(err, dkim.ErrTooManySignatures) {
		e.DKIM = append(e.DKIM, Signature{Result: PermError, Reason: err.Error()})
		return
	}
	for _, c := range checks {
		s := Signature{Domain: strings.ToLower(c.Domain), Result: Pass}
		switch {
		case c.Err == nil && aligned(s.Domain, e.From, strict):
			if bare := missing(c.HeaderKeys, m.Cover); !e.Aligned || bare == "" {
				e.Aligned, e.By, e.Bare = true, "dkim="+s.Domain, bare
			}
		case dkim.IsTempFail(c.Err):
			s.Result, s.Reason, e.Temporary = TempError, c.Err.Error(), true
		case dkim.IsPermFail(c.Err):
			s.Result, s.Reason = PermError, c.Err.Error()
		case c.Err != nil:
			s.Result, s.Reason = Fail, c.Err.Error()
		}
		e.DKIM = append(e.DKIM, s)
	}
}

// missing returns the first field that is wanted and not signed.
func missing(signed, wanted []string) string {
	for _, field := range wanted {
		if !slices.ContainsFunc(signed, func(s string) bool { return strings.EqualFold(strings.TrimSpace(s), field) }) {
			return field
		}
	}
	return ""
}

func (v *Verifier) spf(q *query, m Message, e *Evidence, strict bool) {
	_, domain, _ := strings.Cut(m.MailFrom, "@")
	if m.MailFrom == "" {
		domain = m.HELO
	}
	e.SPFDomain = strings.ToLower(strings.TrimSuffix(domain, "."))
	if !m.Client.IsValid() || e.SPFDomain == "" {
		return
	}
	result, _ := spf.CheckHostWithSender(net.IP(m.Client.Unmap().AsSlice()), m.HELO, m.MailFrom,
		spf.WithContext(q.ctx), spf.WithResolver(q))
	e.SPF = string(result)
	if result == spf.TempError {
		e.Temporary = true
	}
	if result == spf.Pass && (!e.Aligned || e.Bare != "") && aligned(e.SPFDomain, e.From, strict) {
		e.Aligned, e.By, e.Bare = true, "spf="+e.SPFDomain, "" // it comes straight from there, as it is
	}
}

// aligned compares an authenticated domain with From's (RFC 7489 section 3.1): equal, or when it is not strict, of the
// same organisation.
func aligned(domain, from string, strict bool) bool {
	if domain == "" || from == "" {
		return false
	}
	return domain == from || !strict && organisation(domain) == organisation(from)
}

// organisation is the organisational domain by the public suffix list; a domain that has none is its own.
func organisation(domain string) string {
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
		fmt.Fprintf(&b, ";\r\n\tdkim=%s header.d=%s", s.Result, token(s.Domain))
	}
	if len(e.DKIM) == 0 {
		b.WriteString(";\r\n\tdkim=none")
	}
	fmt.Fprintf(&b, ";\r\n\tspf=%s smtp.mailfrom=%s;\r\n\tdmarc=%s header.from=%s", e.SPF, token(e.SPFDomain), e.DMARC, token(e.From))
	if recall != "" {
		b.WriteString(";\r\n\tx-recall=" + recall)
	}
	return b.String()
}

// token keeps a domain that somebody typed from ending the field or forging a result in it.
func token(s string) string {
	s = strings.Map(func(r rune) rune {
		if r == '-' || r == '.' || r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= 0x80 {
			return r
		}
		return '?'
	}, s)
	if s == "" || len(s) > 255 {
		return "unknown"
	}
	return s
}
