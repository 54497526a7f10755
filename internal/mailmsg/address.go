package mailmsg

import (
	"errors"
	"io"
	"mime"
	"net/mail"
	"strings"
	"unicode/utf8"

	"github.com/recall-milter/recall-milter/policy"
)

// structure parses addresses and leaves display names alone: only what surrounds an encoded word counts.
var structure = mail.AddressParser{WordDecoder: &mime.WordDecoder{
	CharsetReader: func(_ string, text io.Reader) (io.Reader, error) { return text, nil },
}}

// Addresses returns the addresses that a field such as From, To or Cc names (RFC 5322 section 3.4), as they are
// written, without display names. Those may be in any charset, encoded or not. It is an error when the field is longer
// than 100,000 bytes, or when it can't be read in full.
func Addresses(value string) ([]string, error) {
	if len(value) > MaxField {
		return nil, errors.New("the field is too long")
	}
	value = policy.Unfold(value)
	parsed, err := structure.ParseList(strings.ToValidUTF8(value, string(utf8.RuneError)))
	if err != nil {
		return nil, err
	}
	all := make([]string, len(parsed))
	for n, a := range parsed {
		if all[n] = a.Address; strings.ContainsRune(a.Address, utf8.RuneError) {
			return nil, errors.New("an address is not in UTF-8")
		}
	}
	return all, nil
}

// Address returns the address of a field that names one only.
func Address(value string) (string, error) {
	all, err := Addresses(value)
	switch {
	case err != nil:
		return "", err
	case len(all) != 1:
		return "", errors.New("the field does not have one address")
	}
	return all[0], nil
}
