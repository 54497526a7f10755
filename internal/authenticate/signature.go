package authenticate

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"slices"
	"strings"

	"golang.org/x/net/idna"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/lazyregexp"
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

var tagName = lazyregexp.New(`^[A-Za-z][A-Za-z0-9_]{0,62}$`)

// tags reads a tag list (RFC 6376 section 3.2). One with a tag twice, or with an empty place in it, is invalid.
func tags(value string) (map[string]string, bool) {
	all := map[string]string{}
	list := strings.Split(value, ";")
	if strings.TrimSpace(list[len(list)-1]) == "" {
		list = list[:len(list)-1]
	}
	for _, pair := range list {
		name, value, ok := strings.Cut(pair, "=")
		name = strings.TrimSpace(name)
		if _, twice := all[name]; !ok || twice || !tagName.MatchString(name) {
			return nil, false
		}
		all[name] = strings.TrimSpace(value)
	}
	return all, true
}

// sound says whether a DKIM-Signature field is one that each verifier takes for a signature, and so reports about:
// OpenDKIM is silent about a message with another one.
func sound(value string, tag map[string]string) bool {
	if strings.ContainsFunc(value, func(r rune) bool {
		return (r < ' ' || r > '~') &&
			!strings.ContainsRune("\t\r\n", r)
	}) {
		return false
	}
	for _, name := range []string{"a", "b", "bh", "h", "v"} {
		if tag[name] == "" {
			return false
		}
	}
	number := func(s string) bool { return len(s) <= 12 && strings.Trim(s, "0123456789") == "" }
	return tag["v"] == "1" && only(packed(tag["d"]), ".-_") && only(packed(tag["s"]), ".-_") && number(tag["t"]) &&
		number(tag["x"])
}

// only says whether a text has letters, digits and some others, and at least one of them.
func only(text, others string) bool {
	return text != "" && len(text) <= 253 && !strings.ContainsFunc(text, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune(others, r))
	})
}

// packed is a value without blanks and folds.
func packed(value string) string { return strings.Join(strings.Fields(value), "") }

// signed lists the fields that a signature covers.
func signed(tag map[string]string) []string { return strings.Split(packed(tag["h"]), ":") }

// missing returns the first field that is wanted and not signed.
func missing(signed, wanted []string) string {
	for _, field := range wanted {
		if !slices.ContainsFunc(signed, func(s string) bool { return holdstore.Same(strings.TrimSpace(s), field) }) {
			return field
		}
	}
	return ""
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
	return q.verify(s.tag, s.domain, text.String())
}

// picked returns the fields that names mean: of several with one name the last first (RFC 6376 section 5.4.2).
func picked(header []policy.Field, names []string) (all []policy.Field) {
	taken := map[string]int{}
	for _, name := range names {
		key := holdstore.Fold(name)
		skip := taken[key]
		for n := len(header) - 1; n >= 0; n-- {
			if !header[n].Is(name) {
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
