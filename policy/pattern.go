package policy

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Patterns is a list of globs, and of regular expressions between slashes; a leading "!" makes a pattern an exclusion.
// A value is in the list when no exclusion matches it and one of the other patterns does; a list of nothing but
// exclusions has all other values. An empty list has none.
//
// ASCII case never matters; no other letters are folded, so that no name becomes another person's. In a glob, * stands
// for any text, also with @ and dots in it, and ? for one character.
type Patterns []pattern

// pattern is one entry of a list.
type pattern struct {
	text     string
	re       *regexp.Regexp
	excludes bool
}

// maxPattern bounds a pattern, in bytes; RE2 has no pattern that takes exponential time.
const maxPattern = 1000

// ParsePatterns reads a list; an error names the first pattern that is invalid.
func ParsePatterns(texts []string) (Patterns, error) {
	var list Patterns
	for _, text := range texts {
		p, err := parsePattern(text)
		if err != nil {
			return nil, err
		}
		list = append(list, p)
	}
	return list, nil
}

func parsePattern(text string) (pattern, error) {
	body, excludes := strings.CutPrefix(text, "!")
	if body == "" || len(body) > maxPattern {
		return pattern{}, fmt.Errorf("invalid pattern %q: use a glob like \"*@corp.test\" or a \"/regexp/\"; a leading "+
			"\"!\" excludes", text)
	}
	expression := "^" + strings.NewReplacer(`\*`, ".*", `\?`, ".").Replace(regexp.QuoteMeta(body)) + "$"
	if len(body) > 2 && body[0] == '/' && body[len(body)-1] == '/' {
		expression = body[1 : len(body)-1]
	}
	re, err := compileFolded(expression)
	if err != nil {
		return pattern{}, fmt.Errorf("invalid regular expression %q: %s", text,
			strings.TrimPrefix(err.Error(), "error parsing regexp: "))
	}
	return pattern{text, re, excludes}, nil
}

// String is the pattern as it was written.
func (p pattern) String() string { return p.text }

// Match says whether at least one of the values is in the list.
func (l Patterns) Match(values ...string) bool { return slices.ContainsFunc(values, l.has) }

// MatchAll says whether there are values and all are in the list.
func (l Patterns) MatchAll(values []string) bool {
	return len(values) > 0 && !slices.ContainsFunc(values, func(v string) bool { return !l.has(v) })
}

// Names says whether a list that gives a right gives it to somebody who has all these names. One of them must be in the
// list, and an exclusion of any of them counts: nobody escapes it by another address of theirs. Unlike in Match, a list
// of exclusions alone names nobody, and a name that is empty is none.
func (l Patterns) Names(names ...string) bool {
	named := false
	for _, name := range names {
		for _, p := range l {
			if name == "" || !p.re.MatchString(name) {
				continue
			}
			if p.excludes {
				return false
			}
			named = true
		}
	}
	return named
}

func (l Patterns) has(value string) bool {
	included, others := false, false
	for _, p := range l {
		switch {
		case p.excludes && p.re.MatchString(value):
			return false
		case !p.excludes:
			others, included = true, included || p.re.MatchString(value)
		}
	}
	return included || !others && len(l) > 0
}
