package postfix

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/recall-milter/recall-milter/internal/file"
)

// files are what setup changes.
var files = []string{"main.cf", "master.cf"}

// Beside each file lie what it was before a setup, and what setup made of it: only as long as it is still that, the
// first may come back without undoing somebody else's work.
const (
	before = ".before-recall-milter."
	after  = ".after-recall-milter."
)

// Setup makes changes that Undo can take back, and returns the moment that is in the names of the old files. When a
// change fails, or Postfix refuses the result, all is as before.
func (c *Config) Setup(ctx context.Context, changes []Change) (stamp string, err error) {
	stamp = time.Now().UTC().Format("20060102-150405.000")
	if err := c.keep(before, stamp); err != nil {
		return "", fmt.Errorf("nothing was changed: %w", err)
	}
	if err = c.apply(ctx, changes); err == nil {
		err = c.keep(after, stamp)
	}
	if err != nil {
		if undone := putBack(c.Dir, stamp); undone != nil {
			return "", errors.Join(err, undone)
		}
		forget(c.Dir, stamp)
		return "", fmt.Errorf("all is as before: %w", err)
	}
	return stamp, nil
}

// apply makes the changes and has Postfix check the result. Each run of postconf waits until what the last one wrote is two
// seconds old, so changes of a kind go together.
func (c *Config) apply(ctx context.Context, changes []Change) error {
	for _, kind := range []string{"-e", "-M", "-P"} {
		args := []string{"-c", c.Dir, kind}
		for _, change := range changes {
			if change.kind == kind {
				args = append(args, change.setting)
			}
		}
		if len(args) == 3 {
			continue
		}
		if _, err := run(ctx, "postconf", args...); err != nil {
			return err
		}
	}
	_, err := run(ctx, "postfix", "-c", c.Dir, "check")
	return err
}

// keep copies what setup changes.
func (c *Config) keep(kind, stamp string) error {
	for _, name := range files {
		path := filepath.Join(c.Dir, name)
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if err := file.Write(path+kind+stamp, text, path); err != nil {
			return err
		}
	}
	return nil
}

// Before is the name of the copy of a file as it was before a setup.
func Before(path, stamp string) string { return path + before + stamp }

// Undo takes the newest setup back. It refuses when a file was changed since, and then nothing is changed. With port, the
// service that listens there stays if the setup made it, until a second Undo: held mail has no other way back.
func Undo(ctx context.Context, dir string, port *Endpoint) (kept bool, err error) {
	stamp, err := newest(dir)
	if err != nil {
		return false, err
	}
	if err := unchanged(dir, stamp); err != nil {
		return false, err
	}
	entry := ""
	if port != nil {
		if entry, err = entryAt(ctx, dir, *port); err != nil {
			return false, err
		}
	}
	if err := putBack(dir, stamp); err != nil {
		return false, err
	}
	if entry != "" {
		if kept, err = keepEntry(ctx, dir, *port, entry); err != nil {
			return false, err
		}
	}
	if kept {
		return true, (&Config{Dir: dir}).keep(after, stamp)
	}
	forget(dir, stamp)
	return false, nil
}

// unchanged says whether the files are still what the setup made of them.
func unchanged(dir, stamp string) error {
	for _, name := range files {
		path := filepath.Join(dir, name)
		now, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		made, err := os.ReadFile(path + after + stamp)
		if err != nil {
			return err
		}
		if !bytes.Equal(now, made) {
			return fmt.Errorf("%s was changed after the setup, so it is left alone: compare it by diff -u %s %s, and take our lines out by hand", path, path+before+stamp, path)
		}
	}
	return nil
}

// entryAt returns the line of master.cf for what listens at an endpoint; "" when nothing does.
func entryAt(ctx context.Context, dir string, at Endpoint) (string, error) {
	c, err := Read(ctx, dir)
	if err != nil {
		return "", err
	}
	s := c.At(at)
	if s == nil {
		return "", nil
	}
	text, err := run(ctx, "postconf", "-c", dir, "-M", s.String())
	return strings.TrimSpace(text), err
}

// keepEntry adds a line to master.cf unless it has one for the endpoint.
func keepEntry(ctx context.Context, dir string, at Endpoint, entry string) (added bool, err error) {
	c, err := Read(ctx, dir)
	if err != nil || c.At(at) != nil {
		return false, err
	}
	f := strings.Fields(entry)
	_, err = run(ctx, "postconf", "-c", dir, "-M", f[0]+"/"+f[1]+"="+entry)
	return err == nil, err
}

// putBack writes the files of a backup.
func putBack(dir, stamp string) error {
	for _, name := range files {
		path := filepath.Join(dir, name)
		text, err := os.ReadFile(path + before + stamp)
		if err != nil {
			return err
		}
		if err := file.Write(path, text, path); err != nil {
			return err
		}
	}
	return nil
}

// forget removes a backup.
func forget(dir, stamp string) {
	for _, name := range files {
		path := filepath.Join(dir, name)
		os.Remove(path + before + stamp)
		os.Remove(path + after + stamp)
	}
}

// ErrNoSetup says that there is nothing to take back.
var ErrNoSetup = errors.New("no setup to take back")

func newest(dir string) (stamp string, err error) {
	all, err := filepath.Glob(filepath.Join(dir, files[0]+after+"*"))
	if err != nil || len(all) == 0 {
		return "", fmt.Errorf("%s: %w", dir, ErrNoSetup)
	}
	slices.Sort(all)
	_, stamp, _ = strings.Cut(filepath.Base(all[len(all)-1]), after)
	return stamp, nil
}
