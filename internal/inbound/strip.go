package inbound

import (
	"slices"
	"strings"

	"github.com/recall-milter/recall-milter/policy"
)

// Nth is the n-th field of a name, counted from 1.
type Nth struct {
	Name string
	N    int
}

// forged lists the fields that only we may write: X-Recall-* and Authentication-Results in our name (RFC 8601 section
// 5). The last comes first, since each removal renumbers those behind it.
func forged(fields []policy.Field, authservID string) (strip []Nth) {
	seen := map[string]int{}
	for _, f := range fields {
		name := strings.ToLower(strings.TrimRight(f.Name, " \t"))
		recall := strings.HasPrefix(name, "x-recall-")
		if !recall && name != "authentication-results" {
			continue
		}
		seen[name]++
		if recall || sameID(claimed(f.Value), authservID) {
			strip = append(strip, Nth{name, seen[name]})
		}
	}
	slices.Reverse(strip)
	return strip
}

func sameID(a, b string) bool {
	return strings.EqualFold(strings.TrimSuffix(a, "."), strings.TrimSuffix(b, "."))
}

// claimed returns the authserv-id of an Authentication-Results field (RFC 8601 section 2.2): the first word, between
// comments and folds, maybe in quotes.
func claimed(value string) string {
	rest := uncommented(value)
	if quoted, ok := strings.CutPrefix(rest, `"`); ok {
		var id strings.Builder
		for i := 0; i < len(quoted) && quoted[i] != '"'; i++ {
			if quoted[i] == '\\' && i+1 < len(quoted) {
				i++
			}
			id.WriteByte(quoted[i])
		}
		return strings.TrimSpace(id.String())
	}
	if end := strings.IndexAny(rest, " \t\r\n;("); end >= 0 {
		rest = rest[:end]
	}
	return rest
}

// uncommented steps over blanks, folds and comments, also nested ones (RFC 5322 section 3.2.2).
func uncommented(value string) string {
	depth := 0
	for i := 0; i < len(value); i++ {
		switch c := value[i]; {
		case c == '(':
			depth++
		case c == ')' && depth > 0:
			depth--
		case depth > 0 && c == '\\':
			i++
		case depth == 0 && !strings.ContainsRune(" \t\r\n", rune(c)):
			return value[i:]
		}
	}
	return ""
}
