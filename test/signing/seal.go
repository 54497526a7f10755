// Package signing signs and seals mail for tests, also in ways that no library does.
package signing

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
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
	all, body := parted(message)
	i := 1
	for _, f := range all {
		if strings.HasPrefix(f, "ARC-Seal:") {
			i++
		}
	}
	results := fmt.Sprintf("ARC-Authentication-Results: i=%d; mx.%s; %s", i, s.Domain, s.Results)
	names := or(s.Fields, "From:Subject:Date:Content-Type")
	signature := fmt.Sprintf("ARC-Message-Signature: i=%d; a=%s; c=relaxed/relaxed; d=%s; s=s1; h=%s;%s bh=%s; b=", i,
		algorithm(s.Key), or(s.Signer, s.Domain), names,
		s.More, sum(relaxed(body)))
	signature += sign(s.Key, covered(all, names)+line(signature))
	seal := fmt.Sprintf("ARC-Seal: i=%d; a=%s; cv=%s; d=%s; s=s1; b=", i, algorithm(s.Key),
		or(s.Validity, map[bool]string{true: "none", false: "pass"}[i == 1]), s.Domain)
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
	seal += sign(s.Key, chain+line(results)+"\r\n"+line(signature)+"\r\n"+line(seal))
	return seal + "\r\n" + signature + "\r\n" + results + "\r\n" + message
}

// Partly returns a message with a DKIM signature that covers only the first bytes of its body: with an l= tag.
func Partly(message, domain string, key crypto.Signer, names string, length int) string {
	all, body := parted(message)
	signature := fmt.Sprintf("DKIM-Signature: v=1; a=%s; c=relaxed/relaxed; d=%s; s=s1; h=%s; l=%d; bh=%s; b=",
		algorithm(key), domain, names, length,
		sum(relaxed(body)[:length]))
	return signature + sign(key, covered(all, names)+line(signature)) + "\r\n" + message
}

// Tagged returns a message with a DKIM signature that has further tags: each ends in ";", and stands before or behind
// b=.
func Tagged(message, domain string, key crypto.Signer, names, before, behind string) string {
	all, body := parted(message)
	signature := fmt.Sprintf("DKIM-Signature: v=1; a=%s; c=relaxed/relaxed; d=%s; s=s1; h=%s; bh=%s; %s b=",
		algorithm(key), domain,
		names, sum(relaxed(body)), before)
	if behind != "" {
		behind = "; " + behind
	}
	return signature + sign(key, covered(all, names)+line(signature+behind)) + behind + "\r\n" + message
}

// Written returns a message with a DKIM signature as a signer writes it: field is all of it, with BH for the hash of
// the body and B for the signature. fold changes both, as programs do that break lines. names are those in h=.
func Written(message string, key crypto.Signer, names, field string, fold func(string) string) string {
	all, body := parted(message)
	field = strings.Replace(field, "BH", fold(sum(relaxed(body))), 1)
	before, behind, _ := strings.Cut(field, "=B")
	before += "="
	return before + fold(sign(key, covered(all, names)+line(before+behind))) + behind + "\r\n" + message
}

// parted returns the fields of a message, still folded, and its body.
func parted(message string) (fields []string, body string) {
	head, body, _ := strings.Cut(message, "\r\n\r\n")
	return strings.Split(regexp.MustCompile(`\r\n([^ \t])`).ReplaceAllString(head, "\x00$1"), "\x00"), body
}

// covered is the text of the fields that a signature names.
func covered(fields []string, names string) (text string) {
	for _, name := range strings.Split(names, ":") {
		for _, f := range fields {
			if key, _, _ := strings.Cut(f, ":"); strings.EqualFold(key, name) {
				text += line(f) + "\r\n"
			}
		}
	}
	return text
}

func sum(b []byte) string {
	h := sha256.Sum256(b)
	return base64.StdEncoding.EncodeToString(h[:])
}

func algorithm(key crypto.Signer) string {
	if _, ok := key.(ed25519.PrivateKey); ok {
		return "ed25519-sha256"
	}
	return "rsa-sha256"
}

func sign(key crypto.Signer, text string) string {
	h := sha256.Sum256([]byte(text))
	options := crypto.SignerOpts(crypto.SHA256)
	if _, ok := key.(ed25519.PrivateKey); ok {
		options = crypto.Hash(0)
	}
	signature, err := key.Sign(rand.Reader, h[:], options)
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
