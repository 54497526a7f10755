package lists

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/recall-milter/recall-milter/policy"
)

const (
	maxBytes = 32 << 20 // of a file

	// settled is how long a file must stay as it is before it is read again, so that none is read while it is written.
	settled = time.Second
	// unfinished is the same for a file whose last line has no end: its writer may have stopped in the middle.
	unfinished = time.Minute
)

var (
	errEmpty      = errors.New("it is empty: an empty list needs a line, like \"# nobody\"")
	errUnfinished = errors.New("its last line has no end: it may be half written")
)

// File is a list of patterns or dates, or a map of graces, in a file. What is in it is replaced as a whole.
type File struct {
	name, path string
	parse      func(text []byte) (*content, error)
	content    atomic.Pointer[content]
	trouble    atomic.Pointer[string] // why the file is not in force as it is; nil: it is

	taken, seen state     // of the entries in force, and of the last look
	since       time.Time // when it was first seen so
	judged      bool      // what was seen last was read, and refused
	failing     time.Time // since when there is trouble
}

// content is what a file says.
type content struct {
	entries *policy.Entries  // of a list; empty in a map
	graces  map[string]grace // of a map
	days    policy.Days      // of a list of dates
	all     int              // lines that say something
}

// state tells two versions of a file apart.
type state struct {
	device, inode uint64
	size          int64
	changed       time.Time
	problem       string // why it can't be looked at
}

// Name is the file as the config names it.
func (f *File) Name() string { return f.name }

// Entries returns the patterns in force.
func (f *File) Entries() *policy.Entries { return f.content.Load().entries }

// Grace returns the entry of a key in a map of graces, and its line; 0: there is none.
func (f *File) Grace(key string) (text string, line int) {
	g := f.content.Load().graces[key]
	return g.text, g.line
}

// Days returns the dates in force.
func (f *File) Days() *policy.Days { return &f.content.Load().days }

// Len is the number of lines that say something.
func (f *File) Len() int { return f.content.Load().all }

// Trouble says why the file is not in force as it is now; "" when it is.
func (f *File) Trouble() string {
	if t := f.trouble.Load(); t != nil {
		return *t
	}
	return ""
}

func stateOf(path string) state {
	info, err := os.Stat(path)
	if err != nil {
		return state{problem: err.Error()}
	}
	if !info.Mode().IsRegular() {
		return state{problem: path + " is not a regular file"}
	}
	s := state{size: info.Size(), changed: info.ModTime()}
	if sys, ok := info.Sys().(*syscall.Stat_t); ok {
		s.device, s.inode = uint64(sys.Dev), sys.Ino
	}
	return s
}

// load reads the file for the first time.
func (f *File) load() error {
	before := stateOf(f.path)
	now, err := f.read(before)
	if err != nil && !errors.Is(err, errUnfinished) && !errors.Is(err, errEmpty) {
		return fmt.Errorf("the list %s can't be used: %w", f.name, err)
	}
	f.content.Store(now)
	f.taken, f.seen = before, before
	return nil
}

// look reads the file again when it has changed and is not being written. changed: other entries are in force.
func (f *File) look(now time.Time) (changed bool, err error) {
	s := stateOf(f.path)
	if s == f.taken {
		f.trouble.Store(nil)
		f.seen = s
		return false, nil
	}
	if s != f.seen {
		f.seen, f.since, f.judged = s, now, false
	}
	if f.judged || now.Sub(f.since) < settled {
		return false, nil
	}
	next, err := f.read(s)
	if errors.Is(err, errUnfinished) && now.Sub(f.since) >= unfinished {
		err = nil
	}
	if err != nil {
		f.judged = !errors.Is(err, errUnfinished)
		first := f.Trouble() != err.Error()
		text := err.Error()
		f.trouble.Store(&text)
		if !first {
			err = nil
		}
		return false, err
	}
	f.content.Store(next)
	f.taken = s
	f.trouble.Store(nil)
	return true, nil
}

// read reads the file in the state in which it was seen. All of it is there also where the error is errEmpty or
// errUnfinished.
func (f *File) read(s state) (*content, error) {
	if s.problem != "" {
		return nil, errors.New(s.problem)
	}
	file, err := os.OpenFile(f.path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // no pipe that has taken its place is waited for
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", f.path)
	}
	text, err := io.ReadAll(io.LimitReader(file, maxBytes+1))
	switch {
	case err != nil:
		return nil, err
	case len(text) > maxBytes:
		return nil, fmt.Errorf("it has more than %d MiB", maxBytes>>20)
	}
	said, err := f.parse(text)
	switch {
	case err != nil:
		return nil, err
	case stateOf(f.path) != s:
		return nil, errors.New("it changed while it was read")
	case len(bytes.TrimSpace(text)) == 0:
		return said, errEmpty
	case text[len(text)-1] != '\n':
		return said, errUnfinished
	}
	return said, nil
}

// parseList reads a pattern on each line.
func parseList(text []byte) (*content, error) {
	c := &content{entries: &policy.Entries{}}
	return c, eachLine(text, func(n int, line string) error {
		c.all++
		return c.entries.Add(n, line)
	})
}

// eachLine calls do for each line that says something: not for empty ones, and those that begin with "#".
func eachLine(text []byte, do func(n int, line string) error) error {
	lines := bufio.NewScanner(bytes.NewReader(bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))))
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		if err := do(n, line); err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
	}
	if lines.Err() != nil {
		return fmt.Errorf("a line has more than %d bytes", bufio.MaxScanTokenSize)
	}
	return nil
}
