// Package lists keeps the patterns and graces that a site has in files next to its config, "@FILE", and reads a file
// again when it changes.
//
// Failure rules: a file that can't be read, has an invalid line, has become empty or is being written changes nothing:
// the entries that were read before stay in force, and the log, doctor and metrics say so. Only the first reading can
// fail: there is nothing that could stay in force. Sizes are bounded.
package lists

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/recall-milter/recall-milter/policy"
)

// Set is all lists of one process, each of which is read once. A nil Set has none.
type Set struct {
	folder string
	mu     sync.Mutex
	files  map[string]*File // by kind and path
}

// New returns a set for lists whose names are relative to a folder.
func New(folder string) *Set { return &Set{folder: folder, files: map[string]*File{}} }

// Log is told of lists that change.
type Log interface {
	Trouble(what string, err error)
	Recovered(msg string, lasted time.Duration)
	ListRead(name string, entries int)
}

// Path is where the list of a name is.
func (s *Set) Path(name string) string {
	if s == nil || filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(s.folder, name)
}

// Patterns reads a list of patterns, and the files that it names.
func (s *Set) Patterns(texts []string) (policy.Patterns, error) {
	return policy.ParseLists(texts, s.Open)
}

// Open returns the list of a name, as "@NAME" in the config; a file is read when it is named for the first time.
func (s *Set) Open(name string) (policy.List, error) {
	if IsSocketmap(name) {
		return nil, errSocketmap(name)
	}
	return s.file("list", name, parseList)
}

// RulePatterns is Patterns for the conditions of a rule, which wait for the answers of socketmaps.
func (s *Set) RulePatterns(texts []string) (policy.Patterns, error) {
	return policy.ParseLists(texts, func(name string) (policy.List, error) {
		if IsSocketmap(name) {
			return policy.Socketmap(name), nil
		}
		return s.Open(name)
	})
}

// Graces returns the map of a name, as "@NAME" in the grace of a rule; duration reads what it has for a key.
func (s *Set) Graces(name string, duration func(string) (time.Duration, error)) (policy.Graces, error) {
	if IsSocketmap(name) {
		return policy.Socketmap(name), nil
	}
	return s.file("graces", name, parseGraces(duration))
}

// Holidays reads dates, and the files of dates that are named.
func (s *Set) Holidays(texts []string) (policy.Holidays, error) {
	return policy.ParseHolidays(texts, func(name string) (policy.DayList, error) {
		if IsSocketmap(name) {
			return nil, errSocketmap(name)
		}
		return s.file("days", name, parseDays)
	})
}

func errSocketmap(name string) error {
	return fmt.Errorf("%q: a socketmap is only possible in the conditions and the grace of [[hold.rule]]", "@"+name)
}

// IsSocketmap says whether a name is that of a socketmap, and not of a file.
func IsSocketmap(name string) bool { return strings.HasPrefix(name, "socketmap:") }

// file returns a file, which is read once for each way in which it is used.
func (s *Set) file(kind, name string, parse func([]byte) (*content, error)) (*File, error) {
	if s == nil {
		return nil, errors.New("the folder with lists is not known")
	}
	key := kind + " " + s.Path(name)
	s.mu.Lock()
	defer s.mu.Unlock()
	if f := s.files[key]; f != nil {
		return f, nil
	}
	f := &File{name: name, path: s.Path(name), parse: parse}
	if err := f.load(); err != nil {
		return nil, err
	}
	s.files[key] = f
	return f, nil
}

// Read opens all lists of some names, and says what is wrong with the first that can't be used.
func (s *Set) Read(names []string) error {
	for _, name := range names {
		if _, err := s.Open(name); err != nil {
			return err
		}
	}
	return nil
}

// Files returns the lists that were opened, by name.
func (s *Set) Files() []*File {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.SortedFunc(maps.Values(s.files), func(a, b *File) int { return cmp.Compare(a.name, b.name) })
}

// KeepOnly forgets all files but those of some names: nobody looks at the others any more.
func (s *Set) KeepOnly(names []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.DeleteFunc(s.files, func(_ string, f *File) bool { return !slices.Contains(names, f.name) })
}

// Follow looks at all files every second until ctx ends.
func (s *Set) Follow(ctx context.Context, log Log) {
	tick := time.NewTicker(settled)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			s.look(now, log)
		}
	}
}

// look looks at all files once.
func (s *Set) look(now time.Time, log Log) {
	for _, f := range s.Files() {
		failed := f.Trouble() != ""
		changed, err := f.look(now)
		switch fails := f.Trouble() != ""; {
		case fails && !failed:
			f.failing = now
		case failed && !fails:
			log.Recovered(fmt.Sprintf("the list %s is in force as its file is", f.name), now.Sub(f.failing))
		}
		switch {
		case err != nil:
			log.Trouble(fmt.Sprintf("the list %s is not taken, and the entries that it had stay in force", f.name), err)
		case changed:
			log.ListRead(f.name, f.Len())
		}
	}
}
