// Package lazyregexp compiles a regular expression when it is first used. recallctl starts for one command, and most
// commands need none of the expressions of the packages that it links; to compile them all takes longer than to ask
// Redis.
package lazyregexp

import (
	"regexp"
	"sync"
)

// Regexp is an expression that is compiled once, when it is first used. Safe for concurrent use. Its methods are those
// of regexp.Regexp.
type Regexp struct{ compiled func() *regexp.Regexp }

// New returns an expression. It panics at its first use when the expression is invalid, so every expression needs a
// test that uses it.
func New(expression string) *Regexp {
	return &Regexp{sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expression) })}
}

// MatchString is that of regexp.Regexp.
func (r *Regexp) MatchString(s string) bool { return r.compiled().MatchString(s) }

// FindStringSubmatch is that of regexp.Regexp.
func (r *Regexp) FindStringSubmatch(s string) []string { return r.compiled().FindStringSubmatch(s) }

// FindAllStringSubmatch is that of regexp.Regexp.
func (r *Regexp) FindAllStringSubmatch(s string, n int) [][]string {
	return r.compiled().FindAllStringSubmatch(s, n)
}

// ReplaceAllString is that of regexp.Regexp.
func (r *Regexp) ReplaceAllString(s, by string) string { return r.compiled().ReplaceAllString(s, by) }
