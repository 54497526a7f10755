package holdstore

import "strings"

// Who somebody is, is compared byte by byte, but for the case of ASCII letters. Unicode folds further letters onto those
// ("ſ" onto "s", the Kelvin sign onto "k"), which would make one address of two that mail systems keep apart.

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

// DomainOf is the domain of an address, folded.
func DomainOf(address string) string { return Fold(address[strings.LastIndexByte(address, '@')+1:]) }
