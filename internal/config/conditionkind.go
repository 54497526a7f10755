package config

import (
	"fmt"
	"slices"
	"strings"

	"github.com/recall-milter/recall-milter/policy"
)

// patternList is a condition on a list of patterns.
type patternList struct {
	make func(policy.Patterns) policy.Condition
	of   values
}

// values are what a list of patterns is compared with.
type values int

const (
	addresses values = iota // always there, with an "@"
	services                // always there
	names                   // not always there
	texts                   // not always there
)

func (k patternList) check(c *Config, s *source, path string, v wanted) {
	s.each(path, strs(v), c.checkRulePattern)
}

func (k patternList) conditions(c *Config, v wanted) ([]policy.Condition, error) {
	l, err := c.Lists.RulePatterns(strs(v))
	return []policy.Condition{k.make(l)}, err
}

func (k patternList) words(v wanted) string { return Some(strs(v)) }

func (k patternList) never(_ *Config, key string, v wanted) string {
	list := strs(v)
	switch {
	case emptied(list):
		return "in " + key + ", what is behind \"!\" excludes all the others"
	case k.of == addresses && len(list) == 1 && noAddress(list[0]):
		return fmt.Sprintf("%q in %s is compared with whole addresses, without <>: use \"*@corp.test\" for a domain",
			list[0], key)
	}
	return ""
}

func (k patternList) always(v wanted) bool {
	list := strs(v)
	return (k.of == addresses || k.of == services) && slices.ContainsFunc(list, matchesAll) &&
		!slices.ContainsFunc(list, excludes)
}

// within compares what is written: each entry of v must be an entry of the other, or be matched by one.
func (k patternList) within(v, other wanted) bool {
	if sameWords(v, other) {
		return true
	}
	theirs := strs(other)
	if slices.ContainsFunc(theirs, excludes) {
		return false
	}
	return !slices.ContainsFunc(strs(v), func(p string) bool {
		return !excludes(p) && !slices.ContainsFunc(theirs,
			func(o string) bool { return o == p || isLiteral(p) && takes(o, p) })
	}) && slices.ContainsFunc(strs(v), func(p string) bool { return !excludes(p) })
}

// isLiteral says whether a pattern matches one text only.
func isLiteral(pattern string) bool {
	_, list := listName(pattern)
	return !list && !strings.ContainsAny(pattern, "*?/")
}

// takes says whether a pattern that is not a list matches a text.
func takes(pattern, text string) bool {
	if _, list := listName(pattern); list {
		return false
	}
	p, err := policy.ParsePatterns([]string{pattern})
	return err == nil && p.Match(text)
}

// networkList is a condition on the address of the client.
type networkList struct{}

func (networkList) check(_ *Config, s *source, path string, v wanted) {
	s.each(path, strs(v), checkNetwork)
}

func (networkList) conditions(_ *Config, v wanted) ([]policy.Condition, error) {
	n, err := policy.ParseNetworks(strs(v))
	return []policy.Condition{policy.IfClient(n)}, err
}

func (networkList) words(v wanted) string { return Some(strs(v)) }

func (networkList) never(c *Config, key string, v wanted) string {
	from, err := policy.ParseNetworks(strs(v))
	switch {
	case emptied(strs(v)):
		return "in " + key + ", what is behind \"!\" excludes all the others"
	case err == nil && c.unknownClients(from):
		return "mail of no such client is outbound"
	}
	return ""
}

func (networkList) always(v wanted) bool {
	list := strs(v)
	return slices.Contains(list, "0.0.0.0/0") && slices.Contains(list, "::/0") && !slices.ContainsFunc(list, excludes)
}

func (networkList) within(v, other wanted) bool { return sameWords(v, other) }

// fieldTexts is a condition on the text of fields.
type fieldTexts struct{}

func (fieldTexts) check(c *Config, s *source, path string, v wanted) {
	for name, pattern := range v.Interface().(map[string]string) {
		s.is(path+"."+name, c.checkRulePattern(pattern))
		s.is(path+"."+name, checkFieldName(name))
	}
}

func (fieldTexts) conditions(c *Config, v wanted) (all []policy.Condition, err error) {
	fields := v.Interface().(map[string]string)
	for _, name := range sortedKeys(fields) {
		l, err := c.Lists.RulePatterns([]string{fields[name]})
		if err != nil {
			return nil, err
		}
		all = append(all, policy.IfHeader(name, l))
	}
	return all, nil
}

func (fieldTexts) words(v wanted) string {
	fields := v.Interface().(map[string]string)
	var all []string
	for _, name := range sortedKeys(fields) {
		all = append(all, name+": "+fields[name])
	}
	return strings.Join(all, "; ")
}

func (fieldTexts) never(*Config, string, wanted) string { return "" }

func (fieldTexts) always(wanted) bool { return false }

func (fieldTexts) within(v, other wanted) bool {
	theirs := map[string]string{}
	for name, pattern := range v.Interface().(map[string]string) {
		theirs[strings.ToLower(name)] = pattern
	}
	for name, pattern := range other.Interface().(map[string]string) {
		if theirs[strings.ToLower(name)] != pattern {
			return false
		}
	}
	return true
}
