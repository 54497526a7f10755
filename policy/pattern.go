package policy

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// Patterns is a list of globs, and of regular expressions between slashes; a leading "!" makes a pattern an exclusion.
// A value is in the list when no exclusion matches it and one of the other patterns does; a list of nothing but
// exclusions has all other values. An empty list has none.
//
// ASCII case never matters; no other letters are folded, so that no name becomes another person's. In a glob, * stands
// for any text, also with @ and dots in it, and ? for one character.
//
// "@NAME" stands for the patterns of a List, as if they were written in its place.
type Patterns []pattern

// pattern is one entry of a list: a text that a value equals, or ends with, an expression, or another list.
type pattern struct {
	text     string
	excludes bool

	form    form
	literal string // of equals, ends, endsBelow and contains: in lower case
	re      *regexp.Regexp
	list    List
}

// form is how a pattern is compared.
type form int

const (
	matches   form = iota // re matches
	equals                // the value is literal
	ends                  // the value ends with literal, which begins with "@" or ".": "*@corp.test", "*.corp.test"
	endsBelow             // so it does, and has an "@" before that: "*@*.corp.test"
	contains              // the value contains literal: "*confidential*"
	listed                // the list has it
	asked                 // a socketmap has it
)

// maxPattern bounds a pattern, in bytes; RE2 has no pattern that takes exponential time.
const maxPattern = 1000

// ParsePatterns reads a list in which no other lists are named; an error names the first pattern that is invalid.
func ParsePatterns(texts []string) (Patterns, error) { return ParseLists(texts, noList) }

func noList(name string) (List, error) {
	return nil, fmt.Errorf("invalid pattern \"@%s\": a list can't be named here; for a domain use \"*@%s\"", name, name)
}

// ParseLists reads a list in which open finds the lists that are named as "@NAME".
func ParseLists(texts []string, open func(name string) (List, error)) (Patterns, error) {
	var list Patterns
	for _, text := range texts {
		p, err := parsePattern(text, open)
		if err != nil {
			return nil, err
		}
		list = append(list, p)
	}
	return list, nil
}

func parsePattern(text string, open func(string) (List, error)) (p pattern, err error) {
	body, excludes := strings.CutPrefix(text, "!")
	if body == "" || len(body) > maxPattern || !utf8.ValidString(body) {
		return p, fmt.Errorf("invalid pattern %q: use a glob like \"*@corp.test\" or a \"/regexp/\"; a leading "+
			"\"!\" excludes", text)
	}
	p = pattern{text: text, excludes: excludes}
	if name, ok := strings.CutPrefix(body, "@"); ok {
		p.form = listed
		if p.list, err = open(name); err == nil {
			if _, remote := p.list.(Socketmap); remote {
				p.form = asked
			}
		}
		return p, err
	}
	if p.form, p.literal = formOf(body); p.form != matches {
		return p, nil
	}
	expression := "^" + strings.NewReplacer(`\*`, ".*", `\?`, ".").Replace(regexp.QuoteMeta(body)) + "$"
	if isExpression(body) {
		expression = body[1 : len(body)-1]
	}
	if p.re, err = compileFolded(expression); err != nil {
		return p, fmt.Errorf("invalid regular expression %q: %s", text,
			strings.TrimPrefix(err.Error(), "error parsing regexp: "))
	}
	return p, nil
}

func isExpression(body string) bool {
	return len(body) > 2 && body[0] == '/' && body[len(body)-1] == '/'
}

// formOf finds the patterns that need no expression: most of those that people write, and all but a few of a long list.
func formOf(body string) (form, string) {
	literal := lowered(body)
	if isExpression(body) {
		return matches, ""
	}
	if !strings.ContainsAny(body, "*?") {
		return equals, literal
	}
	for lead, f := range map[string]form{"*@": ends, "*.": ends, "*@*.": endsBelow} {
		if tail, ok := strings.CutPrefix(literal, lead); ok && !strings.ContainsAny(tail, "*?") {
			return f, lead[len(lead)-1:] + tail
		}
	}
	if word := strings.Trim(literal, "*"); "*"+word+"*" == literal && word != "" && !strings.ContainsAny(word, "*?") {
		return contains, word
	}
	return matches, ""
}

// String is the pattern as it was written.
func (p pattern) String() string { return p.text }

// matches says whether the pattern, which is not a list, matches a value.
func (p *pattern) matches(value string) bool {
	tail := max(0, len(value)-len(p.literal))
	switch p.form {
	case equals:
		return equalFold(value, p.literal)
	case ends:
		return equalFold(value[tail:], p.literal)
	case endsBelow:
		return equalFold(value[tail:], p.literal) && strings.Contains(value[:tail], "@")
	case contains:
		return strings.Contains(lowered(value), p.literal)
	}
	return p.re.MatchString(value)
}

// asked says whether a socketmap has a value.
func (p *pattern) asked(value string, f *Facts, most bool) bool {
	a := unknown
	if f != nil {
		a, _ = f.has(p.list.(Socketmap), value)
	}
	return a == yes || a == unknown && most != p.excludes
}

// Match says whether at least one of the values is in the list.
func (l Patterns) Match(values ...string) bool {
	a, _ := l.any(values, nil)
	return a == yes
}

// MatchAll says whether there are values and all are in the list.
func (l Patterns) MatchAll(values []string) bool {
	a, _ := l.every(values, nil)
	return a == yes
}

// any is Match, with the entry that has decided.
func (l Patterns) any(values []string, f *Facts) (a answer, by Mention) {
	for _, v := range values {
		one, m := l.answer(v, f)
		if by = m; one == yes {
			return yes, by
		}
		a = max(a, one)
	}
	return a, by
}

// every is MatchAll, with the entry that has decided.
func (l Patterns) every(values []string, f *Facts) (a answer, by Mention) {
	a = truth(len(values) > 0)
	for _, v := range values {
		one, m := l.answer(v, f)
		if by = m; one == no {
			return no, by
		}
		a = min(a, one)
	}
	return a, by
}

// answer says whether a value is in the list, as far as the facts have what socketmaps say; nil: nothing is asked.
func (l Patterns) answer(value string, f *Facts) (answer, Mention) {
	return l.named(f, []string{value})
}

// named is answer for one thing that has several names: an exclusion of one of them counts for all.
func (l Patterns) named(f *Facts, names []string) (answer, Mention) {
	most := l.lookAll(names, f, true)
	if !slices.ContainsFunc(l, func(p pattern) bool { return p.form == asked }) {
		return truth(most.in()), most.by
	}
	least := l.lookAll(names, f, false)
	if most.in() != least.in() {
		return unknown, Mention{}
	}
	return truth(most.in()), most.by
}

// Names says whether a list that gives a right gives it to somebody who has all these names. One of them must be in the
// list, and an exclusion of any of them counts: nobody escapes it by another address of theirs. Unlike in Match, a list
// of exclusions alone names nobody, and a name that is empty is none.
func (l Patterns) Names(names ...string) bool {
	named := false
	for _, name := range names {
		if name == "" {
			continue
		}
		s := l.look(name, nil, false)
		if s.excluded {
			return false
		}
		named = named || s.included
	}
	return named
}

// lookAll asks for each name of one thing.
func (l Patterns) lookAll(names []string, f *Facts, most bool) (all finding) {
	all.others = true
	for _, name := range names {
		one := l.look(name, f, most)
		switch {
		case one.excluded:
			return one
		case one.included && !all.included:
			all.included, all.by = true, one.by
		}
		all.others = one.others
	}
	return all
}

// finding is what a list says of one value.
type finding struct {
	excluded, included bool
	others             bool // it does not only exclude
	by                 Mention
}

func (s *finding) in() bool { return !s.excluded && (s.included || !s.others) }

// Mention is the entry of a list that has decided; the zero value is none.
type Mention struct {
	List    string // the file; "": the config itself
	Line    int    // of the file
	Pattern string
	Value   string // what it has decided about, where the message has several
}

// String is what was decided about, where the entry stands, and what it says; an entry of the config itself is not
// named.
func (m Mention) String() string {
	where := m.List
	if m.List != "" && m.Line > 0 {
		where = fmt.Sprintf("%s:%d: %s", m.List, m.Line, m.Pattern)
	}
	if m.Value != "" && where != "" {
		return m.Value + ", " + where
	}
	return m.Value + where
}

// look asks all entries for a value until one excludes it. Of what no socketmap has answered yet, it takes what brings
// the value into the list (most), or keeps it out.
func (l Patterns) look(value string, f *Facts, most bool) (s finding) {
	s.others = len(l) == 0
	for n := range l {
		p := &l[n]
		var found finding
		switch p.form {
		case listed:
			found = p.list.Entries().look(value, p.list.Name())
		case asked:
			found = finding{included: p.asked(value, f, most), others: true, by: Mention{List: p.list.Name()}}
		default:
			found = finding{included: p.matches(value), others: true, by: Mention{Pattern: p.text}}
		}
		if p.excludes {
			found = finding{excluded: found.in(), by: found.by}
		}
		s.others = s.others || found.others
		switch {
		case found.excluded:
			return finding{excluded: true, others: true, by: found.by}
		case found.included && !s.included:
			s.included, s.by = true, found.by
		}
	}
	return s
}
