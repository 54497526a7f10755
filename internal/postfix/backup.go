package postfix

import (
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

// Next to each file are what it was before a change and what the change made of it. The difference is what can be
// undone, whatever else is edited in between. A bypass has copies of its own.
const (
	setupCopy  = "recall-milter."
	bypassCopy = "recall-milter-bypass."
	before     = ".before-"
	after      = ".after-"
)

// stampLayout makes stamps sort by time.
const stampLayout = "20060102-150405.000"

// Setup makes changes that Undo can take back, and returns the moment that is in the names of the old files. When a
// change fails, or Postfix refuses the result, all is as before.
func (c *Config) Setup(ctx context.Context, changes []Change) (stamp string, err error) {
	stamp = newStamp()
	if err := c.keep(before+setupCopy, stamp); err != nil {
		return "", fmt.Errorf("nothing was changed: %w", err)
	}
	if err = c.apply(ctx, changes); err == nil {
		err = c.keep(after+setupCopy, stamp)
	}
	if err != nil {
		if undone := putBack(c.Dir, stamp); undone != nil {
			return "", errors.Join(err, undone)
		}
		forget(c.Dir, setupCopy, stamp)
		return "", fmt.Errorf("all is as before: %w", err)
	}
	return stamp, nil
}

func newStamp() string { return time.Now().UTC().Format(stampLayout) }

// apply makes the changes and has Postfix check the result. Each run of postconf waits until what the last one wrote is
// two seconds old, so changes of a kind go together.
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
	now, err := readTexts(c.Dir, "")
	if err != nil {
		return err
	}
	return now.copyTo(c.Dir, kind+stamp)
}

// Before is the name of the copy of a file as it was before a setup.
func Before(path, stamp string) string { return path + before + setupCopy + stamp }

// putBack writes the files of a backup.
func putBack(dir, stamp string) error {
	was, err := readTexts(dir, before+setupCopy+stamp)
	if err != nil {
		return err
	}
	return was.writeFiles(dir, texts{})
}

// forget removes copies.
func forget(dir, kind, stamp string) {
	for _, name := range files {
		path := filepath.Join(dir, name)
		os.Remove(path + before + kind + stamp)
		os.Remove(path + after + kind + stamp)
	}
}

// stamps lists the changes of a kind that can be undone, newest first.
func stamps(dir, kind string) (all []string) {
	names, _ := filepath.Glob(filepath.Join(dir, files[0]+after+kind+"*"))
	for _, name := range names {
		_, stamp, _ := strings.Cut(filepath.Base(name), after+kind)
		all = append(all, stamp)
	}
	slices.Sort(all)
	slices.Reverse(all)
	return all
}

// texts are the contents of main.cf and master.cf, by name.
type texts map[string]string

// readTexts reads the files of a folder; suffix is that of a copy.
func readTexts(dir, suffix string) (texts, error) {
	all := texts{}
	for _, name := range files {
		text, err := os.ReadFile(filepath.Join(dir, name) + suffix)
		if err != nil {
			return nil, err
		}
		all[name] = string(text)
	}
	return all, nil
}

// write replaces the files that differ from what they were, and has Postfix check them. A configuration that was
// refused before is written all the same.
func (t texts) write(ctx context.Context, dir string, was texts) error {
	if err := t.writeFiles(dir, was); err != nil {
		return err
	}
	_, err := run(ctx, "postfix", "-c", dir, "check")
	if err == nil || ctx.Err() != nil {
		return ctx.Err()
	}
	if undone := was.writeFiles(dir, t); undone != nil {
		return errors.Join(err, undone)
	}
	if _, refused := run(ctx, "postfix", "-c", dir, "check"); refused == nil {
		return fmt.Errorf("%s: Postfix refuses the result, and nothing was changed: %w", dir, err)
	}
	return t.writeFiles(dir, was)
}

// copyTo writes copies next to the files.
func (t texts) copyTo(dir, suffix string) error {
	for _, name := range files {
		path := filepath.Join(dir, name)
		if err := file.Write(path+suffix, []byte(t[name]), path); err != nil {
			return err
		}
	}
	return nil
}

// writeFiles writes the files that differ from what they were.
func (t texts) writeFiles(dir string, was texts) error {
	for _, name := range files {
		path := filepath.Join(dir, name)
		if t[name] == was[name] {
			continue
		}
		if err := file.Write(path, []byte(t[name]), path); err != nil {
			return err
		}
	}
	return nil
}
