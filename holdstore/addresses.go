package holdstore

import (
	"crypto/sha256"
	"encoding/base64"
	"strings"
)

// Who somebody is, is compared byte by byte, but for the case of ASCII letters. Unicode folds further letters onto
// those ("ſ" onto "s", the Kelvin sign onto "k"), which would make one address of two that mail systems keep apart.

// Fold returns a login, an address or a domain with its ASCII letters in lower case.
func Fold(name string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			r += 'a' - 'A'
		}
		return r
	}, name)
}

// Same says whether two logins, addresses or domains are the same.
func Same(a, b string) bool {
	return len(a) == len(b) && Fold(a) == Fold(b)
}

// SameID says whether two Message-IDs are the same, with or without angle brackets. Gateways and mailbox servers
// compare them in any case: what one of them takes for a copy must be one here.
func SameID(a, b string) bool { return Same(strings.Trim(a, "<>"), strings.Trim(b, "<>")) }

// DomainOf is the domain of an address, folded.
func DomainOf(address string) string { return Fold(address[strings.LastIndexByte(address, '@')+1:]) }

// Addresses are some addresses, for looking up many.
type Addresses map[string]bool

// NewAddresses makes them of a list.
func NewAddresses(list []string) Addresses {
	all := make(Addresses, len(list))
	for _, address := range list {
		all[Fold(address)] = true
	}
	return all
}

// Has says whether an address is among them, in any case.
func (a Addresses) Has(address string) bool { return a[Fold(address)] }

// Digest is how a text is kept that is only compared, in any case.
func Digest(text string) string { return digest(text) }

const digestLen = 9 // bytes

// digest is short: it only has to tell what one recipient got, and matches are read, never sent.
func digest(text string) string {
	sum := sha256.Sum256([]byte(Fold(text)))
	return base64.RawStdEncoding.EncodeToString(sum[:digestLen])
}

// Digests are how texts are kept that are only compared, in any case.
func Digests(texts []string) (all []string) {
	for _, text := range texts {
		all = append(all, digest(text))
	}
	return all
}
