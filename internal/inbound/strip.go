package inbound

import (
	"slices"
	"strings"

	"github.com/recall-milter/recall-milter/internal/authenticate"
	"github.com/recall-milter/recall-milter/internal/mailmsg"
	"github.com/recall-milter/recall-milter/policy"
)

// FieldIndex is the n-th field of a name, counted from 1.
type FieldIndex struct {
	Name string
	N    int
}

// forged lists the fields that only we may write: X-Recall-* and Authentication-Results in our name (RFC 8601 section
// 5), also with a queue ID behind it, except what an earlier milter that is believed has written. The last comes first,
// since each removal renumbers those behind it.
func forged(fields []policy.Field, authservID string, believed func(id string) bool) (strip []FieldIndex) {
	seen := map[string]int{}
	for _, f := range fields {
		name := lower(strings.TrimRight(f.Name, " \t")) // as the MTA knows it
		plain := strings.Join(strings.Fields(with(-1, name)), "")
		recall := strings.HasPrefix(plain, "x-recall-")
		if !recall && plain != "authentication-results" {
			continue
		}
		seen[name]++
		if recall || mayClaim(f.Value, authservID) && !believed(authenticate.ServID(f.Value)) {
			strip = append(strip, FieldIndex{name, seen[name]})
		}
	}
	slices.Reverse(strip)
	return strip
}

// lower changes letters of ASCII only, so that all other bytes stay.
func lower(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

// with puts something else for characters that have no place in a field. Programs differ in whether such a one ends a
// name, is left out, or stays.
func with(instead rune, s string) string {
	return strings.Map(func(r rune) rune {
		if (r < ' ' || r > '~') && !strings.ContainsRune("\t\r\n", r) {
			return instead
		}
		return r
	}, s)
}

// mayClaim says whether the authserv-id of a value is ours as any program may read it. Some libraries decode encoded
// words in every field before anybody parses it.
func mayClaim(value, ours string) bool {
	decoded := mailmsg.Text(value)
	return slices.ContainsFunc([]string{value, with(' ', value), with(-1, value), decoded, with(' ', decoded),
		with(-1, decoded)}, func(reading string) bool {
		return claims(authenticate.ServID(reading), ours)
	})
}

// claims says whether an authserv-id is ours, bare or with a queue ID.
func claims(id, ours string) bool {
	name, _ := authenticate.SplitID(id)
	return authenticate.SameID(id, ours) || authenticate.SameID(name, ours)
}
