package policy

import (
	"errors"
	"fmt"
	"strings"
)

// List is patterns that are kept elsewhere, such as in a file, and can change at any moment.
type List interface {
	Name() string      // as it is shown to people
	Entries() *Entries // of this moment; never nil
}

// Bounds of the entries of one list. What has a wildcard in its middle is tried one by one.
const (
	maxEntries   = 500_000
	maxWildcards = 1000
)

// Entries are many patterns, each on a line of its own. Finding a value costs the same for ten as for 100,000: only
// patterns with wildcards elsewhere than in "*@corp.test", "*.corp.test" and "*@*.corp.test" are tried one by one. They
// are not changed any more once a List has them.
type Entries struct {
	all       int
	plain     [2]index   // patterns without "!", and with it
	wildcards []numbered // tried one by one
	includes  bool       // one entry has no "!"
}

// index finds patterns by their literal; the values are lines.
type index struct {
	equals, ends, below map[string]int32
	longest             int // of the literals of ends and below, in bytes
}

type numbered struct {
	pattern
	line int
}

// Add adds the pattern of a line.
func (e *Entries) Add(line int, text string) error {
	p, err := parsePattern(text, noList)
	if err != nil {
		return entryError(text)
	}
	if e.all++; e.all > maxEntries {
		return fmt.Errorf("more than %d entries", maxEntries)
	}
	e.includes = e.includes || !p.excludes
	if p.form == matches || p.form == contains {
		if len(e.wildcards) == maxWildcards {
			return fmt.Errorf("more than %d patterns with wildcards or expressions: use addresses, \"*@corp.test\", "+
				"\"*.corp.test\" or \"*@*.corp.test\", of which there may be %d", maxWildcards, maxEntries)
		}
		e.wildcards = append(e.wildcards, numbered{p, line})
		return nil
	}
	e.plain[side(p.excludes)].add(&p, line)
	return nil
}

// entryError says why an entry is invalid. It does not quote the text: whoever can make a list's file a link to a
// secret would read that in the log.
func entryError(text string) error {
	body := strings.TrimPrefix(text, "!")
	switch {
	case strings.HasPrefix(body, "@"):
		return errors.New("invalid entry: a list can't contain another one; for a domain use a pattern like \"*@corp.test\"")
	case isExpression(body):
		return errors.New("invalid regular expression")
	}
	return errors.New("invalid pattern: use a glob like \"*@corp.test\" or a \"/regexp/\"; a leading \"!\" excludes")
}

func side(excludes bool) int {
	if excludes {
		return 1
	}
	return 0
}

func (x *index) add(p *pattern, line int) {
	to := &x.equals
	switch p.form {
	case ends:
		to = &x.ends
	case endsBelow:
		to = &x.below
	}
	if p.form != equals {
		x.longest = max(x.longest, len(p.literal))
	}
	if *to == nil {
		*to = map[string]int32{}
	}
	if _, known := (*to)[p.literal]; !known {
		(*to)[strings.Clone(p.literal)] = int32(line)
	}
}

// find returns the line of a pattern that matches a value in lower case, and the pattern; 0 when none does.
func (x *index) find(value string) (line int, text string) {
	if n, ok := x.equals[value]; ok {
		return int(n), value
	}
	if x.longest == 0 {
		return 0, ""
	}
	at := strings.IndexByte(value, '@')
	for n := max(0, len(value)-x.longest); n < len(value); n++ {
		if value[n] != '@' && value[n] != '.' {
			continue
		}
		if line, ok := x.ends[value[n:]]; ok {
			return int(line), "*" + value[n:]
		}
		if line, ok := x.below[value[n:]]; ok && 0 <= at && at < n {
			return int(line), "*@*" + value[n:]
		}
	}
	return 0, ""
}

// look asks the entries for a value; list is the name under which they are mentioned.
func (e *Entries) look(value, list string) (s finding) {
	s.others = e.includes || e.all == 0 // an empty list has nothing, whatever else is excluded
	low := lowered(value)
	if line, text := e.plain[1].find(low); line > 0 {
		return finding{excluded: true, others: true, by: Mention{List: list, Line: line, Pattern: "!" + text}}
	}
	if line, text := e.plain[0].find(low); line > 0 {
		s.included, s.by = true, Mention{List: list, Line: line, Pattern: text}
	}
	for n := range e.wildcards {
		w := &e.wildcards[n]
		if (w.excludes || !s.included) && w.matches(value) {
			by := Mention{List: list, Line: w.line, Pattern: w.text}
			if w.excludes {
				return finding{excluded: true, others: true, by: by}
			}
			s.included, s.by = true, by
		}
	}
	return s
}

// Fold returns a text with its ASCII letters in lower case, as keys of maps are compared.
func Fold(s string) string { return lowered(s) }

// lowered returns a text with its ASCII letters in lower case.
func lowered(s string) string {
	for n := range len(s) {
		if 'A' <= s[n] && s[n] <= 'Z' {
			b := []byte(s)
			for n, c := range b {
				if 'A' <= c && c <= 'Z' {
					b[n] = c - 'A' + 'a'
				}
			}
			return string(b)
		}
	}
	return s
}
