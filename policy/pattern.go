package policy

import (
	"fmt"
	"regexp"
	"strings"
)

// Pattern is a glob, or a regular expression between slashes; a leading "!" negates it. Case never matters. In a glob
// * stands for any text, also with @ and dots in it, and ? for one character.
type Pattern struct {
	text    string
	re      *regexp.Regexp
	negated bool
}

// maxPattern bounds a pattern; RE2 has no pattern that takes exponential time.
const maxPattern = 1000

// ParsePattern reads one pattern.
func ParsePattern(text string) (Pattern, error) {
	body, negated := strings.CutPrefix(text, "!")
	if body == "" || len(body) > maxPattern {
		return Pattern{}, fmt.Errorf("%q is no pattern: allowed are globs like \"*@corp.test\" or \"/regexp/\", a leading \"!\" negates", text)
	}
	expression := body
	if len(body) > 2 && body[0] == '/' && body[len(body)-1] == '/' {
		expression = "(?is)" + body[1:len(body)-1]
	} else {
		quoted := regexp.QuoteMeta(body)
		quoted = strings.ReplaceAll(strings.ReplaceAll(quoted, `\*`, ".*"), `\?`, ".")
		expression = "(?is)^" + quoted + "$"
	}
	re, err := regexp.Compile(expression)
	if err != nil {
		return Pattern{}, fmt.Errorf("%q is no regular expression: %s", text, strings.TrimPrefix(err.Error(), "error parsing regexp: "))
	}
	return Pattern{text, re, negated}, nil
}

// Match says whether the pattern holds for a value.
func (p Pattern) Match(value string) bool { return p.re.MatchString(value) != p.negated }

// String is the pattern as it was written.
func (p Pattern) String() string { return p.text }

// Patterns is a list that holds when any of its patterns does, for any of the values.
type Patterns []Pattern

// ParsePatterns reads a list.
func ParsePatterns(texts []string) (Patterns, error) {
	var list Patterns
	for _, text := range texts {
		p, err := ParsePattern(text)
		if err != nil {
			return nil, err
		}
		list = append(list, p)
	}
	return list, nil
}

// Match says whether the list holds for at least one of the values.
func (l Patterns) Match(values ...string) bool {
	for _, v := range values {
		for _, p := range l {
			if p.Match(v) {
				return true
			}
		}
	}
	return false
}

// Choose says whether a value is among those that a list of domains means: it is none of the patterns with "!", and one of
// the others if there are any.
func (l Patterns) Choose(value string) bool {
	chosen, others := false, false
	for _, p := range l {
		switch {
		case p.negated && !p.Match(value):
			return false
		case !p.negated:
			others, chosen = true, chosen || p.Match(value)
		}
	}
	return chosen || !others && len(l) > 0
}
