package authenticate

import (
	"slices"
	"strings"

	"github.com/recall-milter/recall-milter/policy"
)

// tags reads a tag list (RFC 6376 section 3.2). One with a tag twice is none.
func tags(value string) (map[string]string, bool) {
	all := map[string]string{}
	for _, pair := range strings.Split(value, ";") {
		name, value, ok := strings.Cut(pair, "=")
		if name = strings.TrimSpace(name); !ok && name == "" {
			continue
		}
		if _, twice := all[name]; !ok || twice || name == "" {
			return nil, false
		}
		all[name] = strings.TrimSpace(value)
	}
	return all, true
}

// packed is a value without blanks and folds.
func packed(value string) string { return strings.Join(strings.Fields(value), "") }

// signed lists the fields that a signature covers.
func signed(tag map[string]string) []string { return strings.Split(packed(tag["h"]), ":") }

// missing returns the first field that is wanted and not signed.
func missing(signed, wanted []string) string {
	for _, field := range wanted {
		if !slices.ContainsFunc(signed, func(s string) bool { return strings.EqualFold(strings.TrimSpace(s), field) }) {
			return field
		}
	}
	return ""
}

func isField(f policy.Field, name string) bool {
	return strings.EqualFold(strings.TrimRight(f.Name, " \t"), name)
}
