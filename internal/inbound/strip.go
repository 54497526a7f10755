package inbound

import (
	"slices"
	"strings"

	"github.com/recall-milter/recall-milter/internal/authenticate"
	"github.com/recall-milter/recall-milter/policy"
)

// Nth is the n-th field of a name, counted from 1.
type Nth struct {
	Name string
	N    int
}

// forged lists the fields that only we may write: X-Recall-* and Authentication-Results in our name (RFC 8601 section
// 5), also with a queue ID behind it, except what an earlier milter that is believed has written. The last comes first,
// since each removal renumbers those behind it.
func forged(fields []policy.Field, authservID string, believed func(id string) bool) (strip []Nth) {
	seen := map[string]int{}
	for _, f := range fields {
		name := strings.ToLower(strings.TrimRight(f.Name, " \t"))
		recall := strings.HasPrefix(name, "x-recall-")
		if !recall && name != "authentication-results" {
			continue
		}
		seen[name]++
		if recall || claims(authenticate.ServID(f.Value), authservID) && !believed(authenticate.ServID(f.Value)) {
			strip = append(strip, Nth{name, seen[name]})
		}
	}
	slices.Reverse(strip)
	return strip
}

// claims says whether an authserv-id is ours, bare or with a queue ID.
func claims(id, ours string) bool {
	name, _ := authenticate.SplitID(id)
	return authenticate.SameID(id, ours) || authenticate.SameID(name, ours)
}
