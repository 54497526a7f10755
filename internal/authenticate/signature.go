package authenticate

import (
	"bytes"
	"cmp"
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/net/idna"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/policy"
)

// What DKIM (RFC 6376) and ARC (RFC 8617) share.

const (
	maxSigned = 200  // names in h=
	minRSA    = 1024 // bits (RFC 8301 section 3.2)
)

// failure is why a signature does not pass.
type failure struct{ result, reason string }

func (f failure) Error() string { return f.reason }

func permanent(reason string) error { return failure{PermError, reason} }
func failed(reason string) error    { return failure{Fail, reason} }
func temporary(reason string) error { return failure{TempError, reason} }

// resultOf is the result that an error of a signature means.
func resultOf(err error) string {
	var f failure
	if errors.As(err, &f) {
		return f.result
	}
	return PermError
}

// signature is a field that signs the message: DKIM-Signature, or ARC-Message-Signature.
type signature struct {
	field  policy.Field
	tag    map[string]string // nil: it is not a list of tags
	domain string            // d=, in lower case and in A-labels
}

func readSignature(f policy.Field) signature {
	tag, ok := tags(f.Value)
	if !ok {
		return signature{field: f}
	}
	return signature{f, tag, domainOf(tag)}
}

// domainOf is the domain of a tag list, which may have U-labels (RFC 8616 section 4).
func domainOf(tag map[string]string) string {
	domain := holdstore.Fold(packed(tag["d"]))
	if ascii, ok := ALabels(domain); ok {
		return ascii
	}
	return domain
}

// ALabels is a domain name as DNS has it. IDNA maps some characters onto others, the Kelvin sign onto "k": a name with
// such a one is not the domain that it resembles, and false is returned.
func ALabels(name string) (ascii string, ok bool) {
	ascii, err := idna.Lookup.ToASCII(name)
	if err != nil {
		return "", false
	}
	written, err := idna.Lookup.ToUnicode(ascii)
	return ascii, name == ascii || err == nil && name == written
}

// checkSigned checks a signature of header and body, and returns the key that it was made with.
func (q *query) checkSigned(s signature, m Message) (key keyRecord, err error) {
	fields := signed(s.tag)
	head, body, ok := canonical(holdstore.Fold(packed(s.tag["c"])))
	_, cut := s.tag["l"]
	hash, err := base64.StdEncoding.DecodeString(packed(s.tag["bh"]))
	switch {
	case missing(fields, []string{"From"}) != "":
		return key, permanent("it does not cover From")
	case len(fields) > maxSigned:
		return key, permanent("it covers too many fields")
	case !ok:
		return key, permanent("its canonicalization is unknown")
	case err != nil:
		return key, permanent("its body hash can't be read")
	case cut: // somebody else may have written the rest of the body
		return key, failed("it has an insecure body length tag")
	}
	if got := sha256.Sum256(body(m.Body)); subtle.ConstantTimeCompare(got[:], hash) != 1 {
		return key, failed("body hash did not verify")
	}
	var text strings.Builder
	for _, f := range picked(m.Header, fields) {
		text.WriteString(head(f))
	}
	text.WriteString(strings.TrimSuffix(head(unsigned(s.field)), "\r\n"))
	return q.verify(s.tag, text.String())
}

// verify checks the signature of a tag list over a text with the key that its d= and s= name.
func (q *query) verify(tag map[string]string, text string) (keyRecord, error) {
	algorithm := holdstore.Fold(packed(tag["a"])) // in any case, as OpenDKIM reads it
	value, err := base64.StdEncoding.DecodeString(packed(tag["b"]))
	switch {
	case err != nil:
		return keyRecord{}, permanent("its value can't be read")
	case algorithm == "rsa-sha1": // RFC 8301 section 3.1
		return keyRecord{}, permanent("its algorithm is too weak")
	case algorithm != "rsa-sha256" && algorithm != "ed25519-sha256":
		return keyRecord{}, permanent("its algorithm is unknown")
	}
	key, err := q.key(packed(tag["s"])+"._domainkey."+domainOf(tag), strings.TrimSuffix(algorithm, "-sha256"))
	if err != nil {
		return key, err
	}
	hash, ok := sha256.Sum256([]byte(text)), false
	switch k := key.public.(type) {
	case *rsa.PublicKey:
		if k.Size()*8 < minRSA {
			return key, permanent("its key is too short")
		}
		ok = rsa.VerifyPKCS1v15(k, crypto.SHA256, hash[:], value) == nil
	case ed25519.PublicKey:
		ok = ed25519.Verify(k, hash[:], value)
	}
	if !ok {
		return key, failed("it was changed, or the key is another")
	}
	return key, nil
}

// emptyPlaces are what people leave in a key record.
var emptyPlaces = regexp.MustCompile(`;(\s*;)+`)

// keyIn finds the key in a record: other records, as of SPF, may have the same name.
var keyIn = regexp.MustCompile(`(^|;)\s*p\s*=`)

// keyRecord is a key as DNS has it.
type keyRecord struct {
	public crypto.PublicKey
	exact  bool // t=s: i= must be of the very domain d=
}

// key asks for the key record at a name (RFC 6376 section 3.6.1).
func (q *query) key(name, kind string) (key keyRecord, err error) {
	records, err := q.txt(name)
	switch {
	case isTemporaryDNS(err):
		return key, temporary("its key can't be asked for now")
	case err != nil || len(records) == 0:
		return key, permanent("there is no key for it")
	}
	records = slices.DeleteFunc(slices.Clone(records), func(r string) bool { return !keyIn.MatchString(r) })
	if len(records) != 1 {
		return key, permanent(fmt.Sprintf("there are %d keys for it", len(records)))
	}
	tag, ok := tags(emptyPlaces.ReplaceAllString(records[0], ";"))
	if ok {
		tag["k"] = cmp.Or(holdstore.Fold(packed(tag["k"])), "rsa")
	}
	if !ok || tag["k"] != kind || tag["v"] != "" && tag["v"] != "DKIM1" ||
		!allows(tag, "h", "sha256") || !allows(tag, "s", "email", "*") {
		return key, permanent("its key record is for something else")
	}
	key.exact = slices.Contains(strings.Split(packed(tag["t"]), ":"), "s")
	key.public, err = publicKey(tag)
	return key, err
}

// allows says whether a tag, where it is there, lists one of the words.
func allows(tag map[string]string, name string, words ...string) bool {
	list, has := tag[name]
	return !has || slices.ContainsFunc(strings.Split(packed(list), ":"), func(w string) bool {
		return slices.Contains(words, holdstore.Fold(w))
	})
}

func publicKey(tag map[string]string) (crypto.PublicKey, error) {
	raw, err := base64.StdEncoding.DecodeString(packed(tag["p"]))
	switch {
	case err != nil || len(raw) == 0:
		return nil, permanent("its key is withdrawn or can't be read")
	case tag["k"] == "ed25519" && len(raw) == ed25519.PublicKeySize:
		return ed25519.PublicKey(raw), nil
	case tag["k"] != "rsa":
		return nil, permanent("its key is of an unknown kind")
	}
	if key, err := x509.ParsePKCS1PublicKey(raw); err == nil {
		return key, nil
	}
	key, err := x509.ParsePKIXPublicKey(raw)
	if err != nil {
		return nil, permanent("its key can't be read: " + err.Error())
	}
	return key, nil
}

// picked returns the fields that names mean: of several with one name the last first (RFC 6376 section 5.4.2).
func picked(header []policy.Field, names []string) (all []policy.Field) {
	taken := map[string]int{}
	for _, name := range names {
		key := holdstore.Fold(name)
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
	return holdstore.Fold(strings.TrimRight(f.Name, " \t")) + ":" +
		strings.Join(strings.FieldsFunc(f.Value, func(r rune) bool {
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
