package authenticate

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/policy"
)

// Bounds of an ARC chain (RFC 8617 section 4.2.1).
const (
	maxInstances = 50
	maxARCField  = 32 << 10 // bytes
)

// instance is one ARC set: what a server found, its signature of the message, and its seal over the chain so far.
type instance struct {
	results, signature, seal *policy.Field
	of, by                   map[string]string // tags of signature and seal
}

// chain is all instances, the oldest first.
type chain []instance

// Names of the three fields of an instance.
const (
	arcResults   = "ARC-Authentication-Results"
	arcSignature = "ARC-Message-Signature"
	arcSeal      = "ARC-Seal"
)

// arc believes what the newest seal says, when it is of a named sealer and the whole chain is intact. A chain of others
// costs no DNS.
func (v *Verifier) arc(q *query, m Message, e *Evidence, strict bool) {
	all, err := readChain(m.Header)
	if len(all) == 0 && err == nil {
		return
	}
	e.ARC.Result = Fail
	if err == nil {
		newest := all[len(all)-1]
		e.ARC.Domain = holdstore.Fold(packed(newest.by["d"]))
		if !slices.ContainsFunc(v.o.Sealers, func(s string) bool { return SameID(s, e.ARC.Domain) }) {
			err = errors.New("its sealer is not named in arc_sealers")
		} else if err = q.intact(all, m); err == nil {
			e.ARC.Result = Pass
			err = e.takeSeal(m, newest, strict)
		}
	}
	switch {
	case resultOf(err) == TempError:
		e.ARC.Result, e.ARC.Reason, e.Temporary = TempError, err.Error(), true
	case err != nil:
		e.ARC.Reason = err.Error()
	}
}

// takeSeal takes what a sealer found about From's domain.
func (e *Evidence) takeSeal(m Message, newest instance, strict bool) error {
	_, text, _ := strings.Cut(newest.results.Value, ";")
	results, err := parseResults(text)
	if err != nil {
		return fmt.Errorf("its results are %w", err)
	}
	for _, r := range results {
		switch {
		case r.Value != Pass:
		case r.Method == "dmarc" && r.Properties["header.from"] == e.From:
			e.proofs = append(e.proofs, proof{"arc=" + e.ARC.Domain, e.From, these(signed(newest.of)), true})
		case r.Method == "dkim":
			e.proofs = append(e.proofs, proof{"arc=" + e.ARC.Domain, r.Properties["header.d"], these(signed(newest.of)), strict})
		}
	}
	if e.align(m); !e.Aligned {
		return errors.New("its sealer found nothing that is aligned")
	}
	return nil
}

// readChain sorts the ARC fields of a message by instance, and says what is missing, twice, or no chain that passed.
func readChain(header []policy.Field) (chain, error) {
	all, last := make(chain, maxInstances), 0
	for n := range header {
		f := &header[n]
		if !f.Is(arcResults) && !f.Is(arcSignature) && !f.Is(arcSeal) {
			continue
		}
		i, err := all.add(f)
		if err != nil {
			return nil, err
		}
		last = max(last, i)
	}
	for i, set := range all[:last] {
		if set.results == nil || set.signature == nil || set.seal == nil {
			return nil, fmt.Errorf("instance %d of the chain is not complete", i+1)
		}
		if cv := packed(set.by["cv"]); cv != map[bool]string{true: None, false: Pass}[i == 0] {
			return nil, fmt.Errorf("instance %d says cv=%.10s", i+1, cv)
		}
	}
	return all[:last], nil
}

// add puts a field into its instance, and returns the number of that.
func (c chain) add(f *policy.Field) (int, error) {
	if len(f.Value) > maxARCField {
		return 0, fmt.Errorf("an %.40s is too long", f.Name)
	}
	text, isSet := f.Value, !f.Is(arcResults)
	if !isSet {
		text, _, _ = strings.Cut(text, ";") // what follows i= is not a tag list
	}
	tag, ok := tags(text)
	i, err := strconv.Atoi(packed(tag["i"]))
	if !ok || err != nil || i < 1 || i > len(c) {
		return 0, fmt.Errorf("an %.40s can't be read", f.Name)
	}
	place := &c[i-1].results
	switch {
	case f.Is(arcSignature):
		place, c[i-1].of = &c[i-1].signature, tag
	case isSet:
		place, c[i-1].by = &c[i-1].seal, tag
	}
	if *place != nil {
		return 0, fmt.Errorf("instance %d of the chain has two %.40s", i, f.Name)
	}
	*place = f
	return i, nil
}

// intact checks the newest signature of the message, and all seals from the newest on (RFC 8617 section 5.2).
func (q *query) intact(all chain, m Message) error {
	newest := all[len(all)-1]
	if !holdstore.Same(packed(newest.of["d"]), packed(newest.by["d"])) {
		return errors.New("its newest signature is of another domain than the seal")
	}
	if missing(signed(newest.of), []string{arcSeal}) == "" { // RFC 8617 section 4.1.2
		return errors.New("its newest signature covers a seal")
	}
	// An ARC-Message-Signature is a DKIM signature of another name.
	if _, err := q.checkSigned(signature{*newest.signature, newest.of, domainOf(newest.of)}, m); err != nil {
		return fmt.Errorf("its newest signature does not hold: %w", err)
	}
	for i := len(all) - 1; i >= 0; i-- {
		if err := q.seals(all, i); err != nil {
			return fmt.Errorf("its seal %d does not hold: %w", i+1, err)
		}
	}
	return nil
}

// seals checks the ARC-Seal at i, which covers all sets up to its own (RFC 8617 section 5.1.1).
func (q *query) seals(all chain, i int) error {
	if _, has := all[i].by["h"]; has {
		return errors.New("it has an h= tag")
	}
	var text strings.Builder
	for n, set := range all[:i+1] {
		text.WriteString(relaxedField(*set.results) + relaxedField(*set.signature))
		if n < i {
			text.WriteString(relaxedField(*set.seal))
		}
	}
	text.WriteString(strings.TrimSuffix(relaxedField(unsigned(*all[i].seal)), "\r\n"))
	_, err := q.verify(all[i].by, domainOf(all[i].by), text.String())
	return err
}
