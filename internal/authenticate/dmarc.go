package authenticate

import (
	"errors"
	"net"
	"strings"
)

// alignment says for which methods only a domain equal to From's counts.
type alignment struct{ dkim, spf bool }

// strictest holds where no DMARC record allows more.
var strictest = alignment{dkim: true, spf: true}

// dmarc looks for the policy record of From's domain, then of its organisation (RFC 7489 section 6.6.3).
func (v *Verifier) dmarc(q *query, e *Evidence) alignment {
	records, err := q.dmarcRecords(e.From)
	if org := Organisation(e.From); err == nil && len(records) == 0 && org != e.From {
		records, err = q.dmarcRecords(org)
	}
	switch {
	case isTemporaryDNS(err):
		e.DMARC, e.Temporary = TempError, true
		return strictest
	case err != nil:
		e.DMARC = PermError
		return strictest
	case len(records) != 1 || !applies(records[0]):
		return strictest
	}
	e.DMARC = Fail // until something is aligned
	return alignment{dkim: wantsEqual(records[0], "adkim"), spf: wantsEqual(records[0], "aspf")}
}

// dmarcRecords returns the DMARC records of a domain: other TXT records do not count.
func (q *query) dmarcRecords(domain string) (records []string, err error) {
	all, err := q.txt("_dmarc." + domain)
	var dns *net.DNSError
	if errors.As(err, &dns) && dns.IsNotFound {
		return nil, nil
	}
	for _, record := range all {
		version, _, _ := strings.Cut(record, ";")
		if name, value, _ := strings.Cut(version, "="); dmarcTag(name) == "v" && strings.TrimSpace(value) == "DMARC1" {
			records = append(records, record)
		}
	}
	return records, err
}

// dmarcTag is a tag's name for comparing: people write them in any case.
func dmarcTag(name string) string { return strings.ToLower(strings.TrimSpace(name)) }

// dmarcValues returns the values of a tag, in lower case: several where it is there twice. What is not a tag, or is
// unknown, is ignored (RFC 7489 section 6.3).
func dmarcValues(record, tag string) (values []string) {
	for part := range strings.SplitSeq(record, ";") {
		if name, value, ok := strings.Cut(part, "="); ok && dmarcTag(name) == tag {
			values = append(values, strings.ToLower(strings.TrimSpace(value)))
		}
	}
	return values
}

// applies says whether a record counts: it has a valid policy, or wants reports (RFC 7489 section 6.6.3 step 6). The
// policy itself is not ours to carry out.
func applies(record string) bool {
	for _, p := range dmarcValues(record, "p") {
		if p == "none" || p == "quarantine" || p == "reject" {
			return true
		}
	}
	for _, list := range dmarcValues(record, "rua") {
		for uri := range strings.SplitSeq(list, ",") {
			if scheme, rest, ok := strings.Cut(strings.TrimSpace(uri), ":"); ok && scheme != "" && rest != "" {
				return true
			}
		}
	}
	return false
}

// wantsEqual says whether a record wants a method's domain to be equal to From's. An invalid value means the default.
func wantsEqual(record, tag string) bool {
	for _, mode := range dmarcValues(record, tag) {
		if mode == "s" {
			return true
		}
	}
	return false
}

// isTemporaryDNS says whether DNS could answer later.
func isTemporaryDNS(err error) bool {
	var dns *net.DNSError
	return errors.As(err, &dns) && !dns.IsNotFound && dns.Temporary()
}
