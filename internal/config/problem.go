package config

import (
	"errors"
	"fmt"
	"strings"
)

// Problem is one thing that is wrong in a file.
type Problem struct {
	File         string
	Line, Column int    // from 1; 0: the file as a whole
	Text         string // what is wrong, and what is allowed
	Source       string // the offending line
	Key          string // which key or table it concerns, as "hold.grace"; "": the file as a whole
}

// Place is the file, and line and column where they are known.
func (p Problem) Place() string {
	if p.Line == 0 {
		return p.File
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column)
}

// Error shows the place, what is wrong, and the line with a mark under it.
func (p Problem) Error() string {
	if p.Line == 0 {
		return p.Place() + ": " + p.Text
	}
	head := fmt.Sprintf("%4d | ", p.Line)
	// A tab stays one, so that the mark stands under its column wherever tabs end.
	lead := strings.Map(func(r rune) rune {
		if r == '\t' {
			return r
		}
		return ' '
	}, p.Source[:min(p.Column-1, len(p.Source))])
	return fmt.Sprintf("%s: %s\n%s%s\n%s| %s^", p.Place(), p.Text, head, p.Source,
		strings.Repeat(" ", len(head)-2), lead)
}

// Problems are all that is wrong in a file, in the order of its lines.
type Problems []Problem

// Error shows all of them.
func (ps Problems) Error() string {
	var all []string
	for _, p := range ps {
		all = append(all, p.Error())
	}
	return strings.Join(all, "\n")
}

// Lines says what is wrong in a file that Load refuses, each error on one line: its place and what is allowed there.
func Lines(err error) (all []string) {
	var problems Problems
	if !errors.As(err, &problems) {
		return []string{err.Error()}
	}
	for _, p := range problems {
		all = append(all, p.Place()+": "+p.Text)
	}
	return all
}
