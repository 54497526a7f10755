package authenticate

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	maxSignatures = 5  // that are checked, of one message
	maxRead       = 50 // DKIM-Signature fields that are read, to choose those
)

// dkim checks the signatures of a message (RFC 6376 section 6.1). When there are more than are checked, those of From's
// organisation come first: no other can be aligned.
func (v *Verifier) dkim(q *query, m Message, e *Evidence, strict bool) {
	var own, others []signature
	for _, f := range m.Header {
		if !f.Is("DKIM-Signature") {
			continue
		}
		if len(own)+len(others) == maxRead {
			e.Unseen++
			continue
		}
		if s := readSignature(f); aligned(s.domain, e.From, false) {
			own = append(own, s)
		} else {
			others = append(others, s)
		}
	}
	all := append(own, others...)
	checked := all[:min(len(all), maxSignatures)]
	e.Unseen += len(all) - len(checked)
	for _, s := range checked {
		found := Signature{Domain: s.domain, Result: Pass}
		if err := q.checkDKIM(s, m); err != nil {
			found.Result, found.Reason = resultOf(err), err.Error()
		} else {
			e.proofs = append(e.proofs, proof{"dkim=" + s.domain, s.domain, these(signed(s.tag)), strict})
		}
		e.Temporary = e.Temporary || found.Result == TempError
		e.DKIM = append(e.DKIM, found)
	}
}

// checkDKIM checks what a DKIM-Signature has and an ARC-Message-Signature has not, then the signature.
func (q *query) checkDKIM(s signature, m Message) error {
	switch {
	case s.tag == nil:
		return permanent("it is not a list of tags")
	case packed(s.tag["v"]) != "1":
		return permanent("it has an unknown version")
	}
	for _, name := range []string{"a", "b", "bh", "d", "h", "s"} {
		if packed(s.tag[name]) == "" {
			return permanent("it has no tag " + name)
		}
	}
	if methods, has := s.tag["q"]; has && !slices.Contains(strings.Split(packed(methods), ":"), "dns/txt") {
		return permanent("it names no known way to its key")
	}
	if err := inTime(s.tag, time.Now()); err != nil {
		return err
	}
	return q.checkIdentity(s, m)
}

// checkIdentity checks the signature, and that i= is of its domain: of a subdomain, where the key allows it.
func (q *query) checkIdentity(s signature, m Message) error {
	identity := s.domain
	if i, has := s.tag["i"]; has {
		i = packed(i)
		identity = domainOf(map[string]string{"d": i[strings.LastIndexByte(i, '@')+1:]})
		if !strings.Contains(i, "@") || identity != s.domain && !strings.HasSuffix(identity, "."+s.domain) {
			return permanent("its i= is not of its domain")
		}
	}
	key, err := q.checkSigned(s, m)
	if err == nil && key.exact && identity != s.domain {
		return permanent("its i= is not of the domain of its key")
	}
	return err
}

// inTime checks the tags t and x (RFC 6376 section 3.5).
func inTime(tag map[string]string, now time.Time) error {
	var seconds [2]uint64
	for n, name := range []string{"t", "x"} {
		value, has := tag[name]
		if !has {
			continue
		}
		var err error
		if seconds[n], err = strconv.ParseUint(packed(value), 10, 63); err != nil {
			return permanent("its tag " + name + " is not a number of seconds")
		}
	}
	if _, has := tag["x"]; has && (seconds[1] < uint64(now.Unix()) || seconds[1] < seconds[0]) {
		return permanent("it has expired")
	}
	return nil
}
