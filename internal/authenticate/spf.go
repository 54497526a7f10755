package authenticate

import (
	"context"
	"errors"
	"net"
	"strings"

	"blitiri.com.ar/go/spf"

	"github.com/recall-milter/recall-milter/holdstore"
)

// SPFDomain is the domain whose SPF record counts.
func (m Message) SPFDomain() string {
	_, domain, _ := strings.Cut(m.MailFrom, "@")
	switch {
	case m.MailFrom == "":
		domain = m.HELO
	case strings.ContainsAny(domain, "@\""):
		return "" // a quoted local part, which programs part in more than one way
	}
	return holdstore.Fold(strings.TrimSuffix(domain, "."))
}

func (v *Verifier) spf(q *query, m Message, e *Evidence, strict bool) {
	e.SPFDomain = m.SPFDomain()
	if !m.Client.IsValid() || e.SPFDomain == "" {
		return
	}
	e.SPF = q.checkHost(net.IP(m.Client.Unmap().AsSlice()), m.HELO, m.MailFrom)
	switch e.SPF {
	case TempError:
		e.Temporary = true
	case Pass:
		// it comes straight from there, as it is
		e.proofs = append(e.proofs, proof{"spf=" + e.SPFDomain, e.SPFDomain, whole, strict})
	}
}

// checkHost evaluates SPF for a client and an envelope sender (RFC 7208 section 4).
func (q *query) checkHost(client net.IP, helo, sender string) string {
	result, _ := spf.CheckHostWithSender(client, helo, sender, spf.WithContext(q.ctx), spf.WithResolver(spfResolver{q}))
	return string(result)
}

// spfResolver has the syntax of each whole record checked before the library sees it: the library reads only as far as
// the first mechanism that matches (RFC 7208 section 4.6).
type spfResolver struct{ *query }

var errSPFSyntax = errors.New("the SPF record has a syntax error")

func (r spfResolver) LookupTXT(ctx context.Context, name string) ([]string, error) {
	records, err := r.query.LookupTXT(ctx, name)
	for _, record := range records {
		if terms, ok := spfTerms(record); ok && !validSPF(terms) {
			return nil, errSPFSyntax // neither "not found" nor temporary: the library says permerror
		}
	}
	return records, err
}
