package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/recall-milter/recall-milter/policy"
)

// Doubt is something in a valid file that its author hardly wants.
type Doubt struct {
	Problem
	Check   string // the finding of recallctl doctor: "config.rule"
	Unheld  bool   // mail is not held because of it
	Correct string // what to write in its place
}

// doubts returns them in the order in which they matter.
func (c *Config) doubts(s *source) (all []Doubt) {
	add := func(check string, unheld bool, path, correct, format string, args ...any) {
		all = append(all, Doubt{s.at(path, fmt.Sprintf(format, args...)), check, unheld, correct})
	}
	o := c.Outbound
	if !o.Authenticated && len(o.Networks) == 0 && len(o.DaemonNames) == 0 {
		add("config.outbound", true, "outbound", "authenticated = true in [outbound]",
			"nothing is outbound, so nothing is held")
	}
	if c.Hold.Grace == 0 && !slices.ContainsFunc(c.Hold.Rules, func(r Rule) bool { return r.holds(c) }) {
		add("config.grace", true, "hold.grace", `grace = "2m" in [hold]`,
			"hold.grace is 0 and no rule has another: nothing is held")
	}
	for i := range c.Hold.Rules {
		r, path := &c.Hold.Rules[i], "hold.rule."+strconv.Itoa(i)
		before := slices.IndexFunc(c.Hold.Rules[:i], func(earlier Rule) bool { return earlier.covers(r) })
		several := r.coveredBySeveral(c.Hold.Rules[:i])
		switch why := r.never(c); {
		case before >= 0:
			add("config.rule", false, path, "the rule before "+c.Hold.Rules[before].Name,
				"the rule %q never matches: the rule %q before it takes all of its mail",
				r.Name, c.Hold.Rules[before].Name)
		case len(several) > 0:
			add("config.rule", false, path, "the rule before "+several[0],
				"the rule %q never matches: the rules %s before it take all of its mail together", r.Name, Some(several))
		case why != "":
			add("config.rule", false, path, "another condition", "the rule %q never matches: %s", r.Name, why)
		case r.everything() && !r.holds(c):
			add("config.rule", true, path, "a condition", "the rule %q matches all mail and does not hold it: neither it nor "+
				"hold.grace nor a rule behind it holds mail", r.Name)
		case r.everything():
			add("config.rule", false, path, "a condition, or hold.grace in its place",
				"the rule %q matches all mail: neither hold.grace nor a rule behind it is ever used", r.Name)
		}
	}
	c.doubtTimes(add)
	c.doubtMailboxes(add)
	return all
}

// holds says whether the rule holds mail.
func (r *Rule) holds(c *Config) bool {
	if r.Grace == nil {
		return c.Hold.Grace > 0
	}
	return r.Grace.Holds()
}

func excludes(pattern string) bool { return strings.HasPrefix(pattern, "!") }

// matchesAll says whether a pattern matches every address and name.
func matchesAll(pattern string) bool {
	return strings.Trim(pattern, "*") == "" || pattern == "*@*" ||
		slices.Contains([]string{"/.*/", "/./", "/.+/", "/^.*$/", "/@/"}, pattern)
}

// emptied says whether exclusions leave nothing of a list.
func emptied(list []string) bool {
	included := func(p string) bool { return !excludes(p) }
	return slices.ContainsFunc(list, func(p string) bool { return excludes(p) && matchesAll(p[1:]) }) ||
		slices.ContainsFunc(list, included) && !slices.ContainsFunc(list,
			func(p string) bool { return included(p) && !swallowed(p, list) })
}

// swallowed says whether an exclusion of the list takes away all that a pattern without wildcards matches.
func swallowed(pattern string, list []string) bool {
	return slices.ContainsFunc(list, func(other string) bool {
		body, ok := strings.CutPrefix(other, "!")
		if !ok {
			return false
		}
		return body == pattern || isLiteral(pattern) && takes(body, pattern)
	})
}

// noAddress says whether a pattern can't match a whole address.
func noAddress(pattern string) bool {
	if _, list := listName(pattern); list || excludes(pattern) || strings.HasPrefix(pattern, "/") {
		return false
	}
	local, _, at := strings.Cut(pattern, "@")
	return strings.ContainsAny(pattern, "<>") || at && local == "" || !at && strings.Contains(pattern, ".") &&
		!strings.ContainsAny(pattern, "*?")
}

// unknownClients says whether no client of these networks can be outbound.
func (c *Config) unknownClients(from policy.Networks) bool {
	ours, err := policy.ParseNetworks(c.Outbound.Networks)
	return err == nil && !c.Outbound.Authenticated && len(c.Outbound.DaemonNames) == 0 && !ours.Overlaps(from)
}
