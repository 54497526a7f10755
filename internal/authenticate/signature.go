package authenticate

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/recall-milter/recall-milter/policy"
)

// What ARC takes over from DKIM (RFC 6376); go-msgauth keeps its own for DKIM-Signature fields.

const (
	maxSigned = 200  // names in h=
	minRSA    = 1024 // bits (RFC 8301 section 3.2)
)

// errTemporary marks what may go right later.
type errTemporary struct{ error }

func isTemporary(err error) bool { return errors.As(err, new(errTemporary)) }

// verify checks the signature of a tag list over a text with the key that its d= and s= name.
func (q *query) verify(tag map[string]string, text string) error {
	algorithm := packed(tag["a"])
	signature, err := base64.StdEncoding.DecodeString(packed(tag["b"]))
	if err != nil || algorithm != "rsa-sha256" && algorithm != "ed25519-sha256" {
		return errors.New("its algorithm or its value is unknown")
	}
	key, err := q.key(packed(tag["s"])+"._domainkey."+packed(tag["d"]), strings.TrimSuffix(algorithm, "-sha256"))
	if err != nil {
		return err
	}
	hash, ok := sha256.Sum256([]byte(text)), false
	switch k := key.(type) {
	case *rsa.PublicKey:
		ok = k.Size()*8 >= minRSA && rsa.VerifyPKCS1v15(k, crypto.SHA256, hash[:], signature) == nil
	case ed25519.PublicKey:
		ok = ed25519.Verify(k, hash[:], signature)
	}
	if !ok {
		return errors.New("it was changed, or the key is another")
	}
	return nil
}

// key asks for the key record at a name (RFC 6376 section 3.6.1).
func (q *query) key(name, kind string) (crypto.PublicKey, error) {
	records, err := q.txt(name)
	var dns *net.DNSError
	switch {
	case errors.As(err, &dns) && dns.Temporary():
		return nil, errTemporary{errors.New("its key can't be asked for now")}
	case err != nil || len(records) != 1:
		return nil, errors.New("there is no key for it")
	}
	tag, ok := tags(records[0])
	if ok && tag["k"] == "" {
		tag["k"] = "rsa"
	}
	if !ok || tag["k"] != kind || tag["v"] != "" && tag["v"] != "DKIM1" || !allows(tag, "h", "sha256") || !allows(tag, "s", "email", "*") {
		return nil, errors.New("its key record is for something else")
	}
	return publicKey(tag)
}

// allows says whether a tag, where it is there, lists one of the words.
func allows(tag map[string]string, name string, words ...string) bool {
	list, has := tag[name]
	return !has || slices.ContainsFunc(strings.Split(packed(list), ":"), func(w string) bool { return slices.Contains(words, w) })
}

func publicKey(tag map[string]string) (crypto.PublicKey, error) {
	raw, err := base64.StdEncoding.DecodeString(packed(tag["p"]))
	switch {
	case err != nil || len(raw) == 0:
		return nil, errors.New("its key is withdrawn or can't be read")
	case tag["k"] == "ed25519" && len(raw) == ed25519.PublicKeySize:
		return ed25519.PublicKey(raw), nil
	case tag["k"] != "rsa":
		return nil, errors.New("its key is of an unknown kind")
	}
	if key, err := x509.ParsePKCS1PublicKey(raw); err == nil {
		return key, nil
	}
	key, err := x509.ParsePKIXPublicKey(raw)
	if err != nil {
		return nil, fmt.Errorf("its key can't be read: %w", err)
	}
	return key, nil
}

// picked returns the fields that names mean: of several with one name the last first (RFC 6376 section 5.4.2).
func picked(header []policy.Field, names []string) (all []policy.Field) {
	taken := map[string]int{}
	for _, name := range names {
		key := strings.ToLower(name)
		skip := taken[key]
		for n := len(header) - 1; n >= 0; n-- {
			if !isField(header[n], name) {
				continue
			}
			if skip--; skip < 0 {
				all = append(all, header[n])
				break
			}
		}
		taken[key]++
	}
	return all
}

// unsigned is a field without the value of its tag b.
func unsigned(f policy.Field) policy.Field {
	parts := strings.Split(f.Value, ";")
	for n, part := range parts {
		if name, _, ok := strings.Cut(part, "="); ok && strings.TrimSpace(name) == "b" {
			parts[n] = name + "="
		}
	}
	return policy.Field{Name: f.Name, Value: strings.Join(parts, ";")}
}

// canonical returns the two forms of a c= tag, for fields and for the body (RFC 6376 section 3.4).
func canonical(c string) (head func(policy.Field) string, body func([]byte) []byte, ok bool) {
	h, b, _ := strings.Cut(c, "/")
	heads := map[string]func(policy.Field) string{"": simpleField, "simple": simpleField, "relaxed": relaxedField}
	bodies := map[string]func([]byte) []byte{"": simpleBody, "simple": simpleBody, "relaxed": relaxedBody}
	return heads[h], bodies[b], heads[h] != nil && bodies[b] != nil
}

func simpleField(f policy.Field) string { return f.Name + ":" + f.Value + "\r\n" }

func relaxedField(f policy.Field) string {
	return strings.ToLower(strings.TrimRight(f.Name, " \t")) + ":" + strings.Join(strings.FieldsFunc(f.Value, func(r rune) bool {
		return r == ' ' || r == '\t' || r == '\r' || r == '\n'
	}), " ") + "\r\n"
}

func simpleBody(body []byte) []byte {
	for bytes.HasSuffix(body, []byte("\r\n")) {
		body = body[:len(body)-2]
	}
	return append(slices.Clip(body), "\r\n"...)
}

func relaxedBody(body []byte) []byte {
	var out bytes.Buffer
	empty := 0 // lines that only count when another follows
	for line := range bytes.SplitSeq(body, []byte("\r\n")) {
		if line = relaxedLine(line); len(line) == 0 {
			empty++
			continue
		}
		for ; empty > 0; empty-- {
			out.WriteString("\r\n")
		}
		out.Write(line)
		out.WriteString("\r\n")
	}
	return out.Bytes()
}

// relaxedLine makes one blank of several, and none at the end.
func relaxedLine(line []byte) []byte {
	out := make([]byte, 0, len(line))
	for _, c := range line {
		if c == '\t' {
			c = ' '
		}
		if c != ' ' || len(out) == 0 || out[len(out)-1] != ' ' {
			out = append(out, c)
		}
	}
	return bytes.TrimRight(out, " ")
}
