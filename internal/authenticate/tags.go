package authenticate

import (
	"regexp"
	"slices"
	"strings"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/policy"
)

var tagName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_]{0,62}$`)

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

func isField(f policy.Field, name string) bool {
	return holdstore.Same(strings.TrimRight(f.Name, " \t"), name)
}
