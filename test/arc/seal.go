// Package arc seals mail (RFC 8617) for tests: also in ways that are wrong.
package arc

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"regexp"
	"strings"
)

// Sealer adds instances to chains.
type Sealer struct {
	Domain   string // d=, with selector s1
	Key      crypto.Signer
	Results  string // what follows the authserv-id
	Validity string // cv=; empty: none for the first instance, then pass
	Signer   string // d= of the signature; empty: Domain
	Fields   string // h=; empty: From:Subject:Date:Content-Type
	More     string // tags to add to the signature, ending in ";"
}

// Seal returns a message, relaxed/relaxed, with one more instance on top.
func (s Sealer) Seal(message string) string {
	head, body, _ := strings.Cut(message, "\r\n\r\n")
	fields := regexp.MustCompile(`\r\n([^ \t])`).ReplaceAllString(head, "\x00$1")
	all := strings.Split(fields, "\x00")
	i := 1
	for _, f := range all {
		if strings.HasPrefix(f, "ARC-Seal:") {
			i++
		}
	}
	algorithm := "rsa-sha256"
	if _, ok := s.Key.(ed25519.PrivateKey); ok {
		algorithm = "ed25519-sha256"
	}
	hash := sha256.Sum256(relaxed(body))
	results := fmt.Sprintf("ARC-Authentication-Results: i=%d; mx.%s; %s", i, s.Domain, s.Results)
	names := or(s.Fields, "From:Subject:Date:Content-Type")
	signature := fmt.Sprintf("ARC-Message-Signature: i=%d; a=%s; c=relaxed/relaxed; d=%s; s=s1; h=%s;%s bh=%s; b=", i, algorithm, or(s.Signer, s.Domain), names,
		s.More, base64.StdEncoding.EncodeToString(hash[:]))
	var covered string
	for _, name := range strings.Split(names, ":") {
		for _, f := range all {
			if key, _, _ := strings.Cut(f, ":"); strings.EqualFold(key, name) {
				covered += line(f) + "\r\n"
			}
		}
	}
	signature += s.sign(covered + line(signature))
	seal := fmt.Sprintf("ARC-Seal: i=%d; a=%s; cv=%s; d=%s; s=s1; b=", i, algorithm, or(s.Validity, map[bool]string{true: "none", false: "pass"}[i == 1]), s.Domain)
	var chain string
	for n := 1; n < i; n++ {
		for _, name := range []string{"ARC-Authentication-Results", "ARC-Message-Signature", "ARC-Seal"} {
			for _, f := range all {
				if strings.HasPrefix(f, fmt.Sprintf("%s: i=%d;", name, n)) {
					chain += line(f) + "\r\n"
				}
			}
		}
	}
	seal += s.sign(chain + line(results) + "\r\n" + line(signature) + "\r\n" + line(seal))
	return seal + "\r\n" + signature + "\r\n" + results + "\r\n" + message
}

func (s Sealer) sign(text string) string {
	hash := sha256.Sum256([]byte(text))
	options := crypto.SignerOpts(crypto.SHA256)
	if _, ok := s.Key.(*rsa.PrivateKey); !ok {
		options = crypto.Hash(0)
	}
	signature, err := s.Key.Sign(rand.Reader, hash[:], options)
	if err != nil {
		panic(err)
	}
	return base64.StdEncoding.EncodeToString(signature)
}

func or(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

// line is a field in relaxed form.
func line(field string) string {
	name, value, _ := strings.Cut(field, ":")
	return strings.ToLower(name) + ":" + strings.Join(strings.Fields(value), " ")
}

func relaxed(body string) []byte {
	body = regexp.MustCompile(`[ \t]+`).ReplaceAllString(body, " ")
	body = strings.TrimRight(strings.ReplaceAll(body, " \r\n", "\r\n"), "\r\n ")
	if body == "" {
		return nil
	}
	return bytes.Join([][]byte{[]byte(body), nil}, []byte("\r\n"))
}
