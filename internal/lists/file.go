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

// File is a list in a file. Its entries are replaced as a whole.
type File struct {
	name, path string
	entries    atomic.Pointer[policy.Entries]
	trouble    atomic.Pointer[string] // why the file is not in force as it is; nil: it is

	taken, seen state     // of the entries in force, and of the last look
	since       time.Time // when it was first seen so
	judged      bool      // what was seen last was read, and refused
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
func (f *File) Entries() *policy.Entries { return f.entries.Load() }

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
	entries, err := f.read(before)
	if err != nil && !errors.Is(err, errUnfinished) && !errors.Is(err, errEmpty) {
		return fmt.Errorf("the list %s can't be used: %w", f.name, err)
	}
	f.entries.Store(entries)
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
	entries, err := f.read(s)
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
	f.entries.Store(entries)
	f.taken = s
	f.trouble.Store(nil)
	return true, nil
}

// read reads the file in the state in which it was seen. The entries are complete also where the error is errEmpty or
// errUnfinished.
func (f *File) read(s state) (*policy.Entries, error) {
	if s.problem != "" {
		return nil, errors.New(s.problem)
	}
	file, err := os.Open(f.path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxBytes+1))
	switch {
	case err != nil:
		return nil, err
	case len(text) > maxBytes:
		return nil, fmt.Errorf("it has more than %d MiB", maxBytes>>20)
	}
	entries, err := parse(text)
	switch {
	case err != nil:
		return nil, err
	case stateOf(f.path) != s:
		return nil, errors.New("it changed while it was read")
	case len(bytes.TrimSpace(text)) == 0:
		return entries, errEmpty
	case text[len(text)-1] != '\n':
		return entries, errUnfinished
	}
	return entries, nil
}

// parse reads a pattern on each line; lines that begin with "#", and empty ones, say nothing.
func parse(text []byte) (*policy.Entries, error) {
	entries := &policy.Entries{}
	lines := bufio.NewScanner(bytes.NewReader(bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))))
	for n := 1; lines.Scan(); n++ {
		pattern := strings.TrimSpace(lines.Text())
		if pattern == "" || pattern[0] == '#' {
			continue
		}
		if err := entries.Add(n, pattern); err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("a line has more than %d bytes", bufio.MaxScanTokenSize)
	}
	return entries, nil
}
