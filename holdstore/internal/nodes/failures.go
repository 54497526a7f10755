package nodes

import (
	"errors"
	"slices"
	"strings"
)

// Failures is what is wrong with the servers of a Cluster: one error with one line of text.
type Failures struct {
	Some  bool // of the servers are well
	away  bool // one of the others does not answer
	all   []error
	words []string // of each
}

// Add notes what is wrong with a server; what was said before is not said again.
func (f *Failures) Add(err error) {
	words := err.Error()
	var a *away
	if errors.As(err, &a) {
		words, f.away = a.cause.Error(), true
	}
	if !slices.Contains(f.words, words) {
		f.all, f.words = append(f.all, err), append(f.words, words)
	}
}

// Err returns the failures as an error; nil: there are none.
func (f *Failures) Err() error {
	if len(f.all) == 0 {
		return nil
	}
	slices.Sort(f.words) // the servers answer in any order
	return f
}

// Error begins with what it means for the store as a whole.
func (f *Failures) Error() string {
	words := strings.Join(f.words, "; ")
	switch {
	case f.away && f.Some:
		return ErrPartial.Error() + ": " + words
	case f.away:
		return ErrUnavailable.Error() + ": " + words
	}
	return words
}

// Unwrap returns each of its errors, and ErrPartial when some of the servers are well.
func (f *Failures) Unwrap() []error {
	if f.Some {
		return append([]error{ErrPartial}, f.all...)
	}
	return f.all
}
