package authenticate

import (
	"net/netip"
	"strconv"
	"strings"

	"github.com/recall-milter/recall-milter/internal/lazyregexp"
)

// The grammar of SPF records (RFC 7208 section 12).
var (
	spfModifier = lazyregexp.New(`^([A-Za-z][A-Za-z0-9._-]*)=(.*)$`)
	// A macro-string is made of visible characters but "%", and of macros; the letters c, r and t are for explanations.
	spfMacros     = lazyregexp.New(`^(?:[!-$&-~]|%%|%_|%-|%\{[SLODIPHVslodiphv][0-9]*[Rr]?[-.+,/_=]*\})*$`)
	spfMacro      = lazyregexp.New(`%\{.([0-9]*)[^}]*\}`)
	spfLastMacro  = lazyregexp.New(`(?:%%|%_|%-|%\{[^}]*\})$`)
	spfLastLabel  = lazyregexp.New(`\.(?:[A-Za-z0-9]*[A-Za-z][A-Za-z0-9]*|[A-Za-z0-9]+-[A-Za-z0-9-]*[A-Za-z0-9])\.?$`)
	spfDualPrefix = lazyregexp.New(`^(.*?)(?:/([0-9]+))?(?://([0-9]+))?$`)
)

// spfTerms returns the terms of an SPF record, and whether a TXT record is one.
func spfTerms(record string) (terms []string, ok bool) {
	version, rest, _ := strings.Cut(record, " ")
	return strings.FieldsFunc(rest, func(r rune) bool { return r == ' ' }), strings.EqualFold(version, "v=spf1")
}

// validSPF says whether all terms of a record are valid, also those behind the first match.
func validSPF(terms []string) bool {
	once := map[string]bool{} // redirect and exp may be there once (section 6)
	for _, term := range terms {
		if found := spfModifier.FindStringSubmatch(term); found != nil {
			name := strings.ToLower(found[1])
			named := name == "redirect" || name == "exp"
			if named && (once[name] || !validSPFDomain(found[2])) || !spfMacros.MatchString(found[2]) {
				return false
			}
			once[name] = true
			continue
		}
		if !validMechanism(strings.TrimLeft(term[:1], "+-?~") + term[1:]) {
			return false
		}
	}
	return true
}

func validMechanism(term string) bool {
	n := strings.IndexAny(term+":", ":/")
	name, rest := strings.ToLower(term[:n]), term[n:]
	value, hasValue := strings.CutPrefix(rest, ":")
	switch name {
	case "all":
		return rest == ""
	case "include", "exists":
		return hasValue && validSPFDomain(value)
	case "ptr":
		return rest == "" || hasValue && validSPFDomain(value)
	case "a", "mx":
		parts := spfDualPrefix.FindStringSubmatch(rest)
		domain, hasDomain := strings.CutPrefix(parts[1], ":")
		return (parts[1] == "" || hasDomain && validSPFDomain(domain)) &&
			validPrefix(parts[2], 32) && validPrefix(parts[3], 128)
	case "ip4", "ip6":
		address, prefix, hasPrefix := strings.Cut(value, "/")
		a, err := netip.ParseAddr(address)
		return hasValue && err == nil && a.Zone() == "" && a.Is4() == (name == "ip4") &&
			(!hasPrefix || prefix != "" && validPrefix(prefix, a.BitLen()))
	}
	return false
}

// validPrefix says whether a prefix length is at most so many bits; one that is left out is valid.
func validPrefix(length string, most int) bool {
	if length == "" {
		return true
	}
	bits, err := strconv.Atoi(length)
	return err == nil && bits <= most && strconv.Itoa(bits) == length
}

// validSPFDomain checks a domain-spec: a macro-string that ends with a top label or a macro.
func validSPFDomain(spec string) bool {
	if !spfMacros.MatchString(spec) || !spfLastLabel.MatchString(spec) && !spfLastMacro.MatchString(spec) {
		return false
	}
	for _, macro := range spfMacro.FindAllStringSubmatch(spec, -1) {
		if digits, err := strconv.Atoi(macro[1]); macro[1] != "" && (err != nil || digits == 0) {
			return false
		}
	}
	return true
}
