package config

import (
	"bytes"
	"fmt"
	"os"
	"regexp"
	"strings"
)

// maxSkipped bounds how many lines that are not TOML LoadFor skips.
const maxSkipped = 20

// LoadFor reads a file of which only some keys or tables are needed, as "redis" or "recall.retention". Problems with
// other keys are ignored: these keys have their defaults. An error is a problem with what is needed, or one that could
// hide it.
func LoadFor(path string, needed ...string) (c *Config, ignored Problems, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, nil, fmt.Errorf("the config can't be read: %w", err)
	}
	return parseFor(path, text, os.Environ(), os.Getenv("CREDENTIALS_DIRECTORY"), needed)
}

func parseFor(name string, text []byte, environ []string, folder string, needed []string) (*Config, Problems, error) {
	text = bytes.Clone(text)
	var skipped Problems
	for {
		c, problems, broken := tryParse(name, text, environ, folder)
		all := append(skipped, problems...)
		for _, p := range problems {
			if p.hides(text, broken, needed) {
				return nil, nil, all
			}
		}
		if !broken {
			return c, all, nil
		}
		last := problems[len(problems)-1]
		if len(skipped) == maxSkipped || last.Line == 0 {
			return nil, nil, all
		}
		skipped = append(skipped, last)
		blank(text, last.Line)
	}
}

// hides says whether a key that is needed is wrong, or may be hidden: by a header of a table that can't be read, or a
// name with a mistake.
func (p Problem) hides(text []byte, broken bool, needed []string) bool {
	if broken && strings.HasPrefix(strings.TrimSpace(p.Source), "[") {
		return true
	}
	for _, n := range needed {
		table, _, _ := strings.Cut(n, ".")
		unseen := !regexp.MustCompile(`(?m)^\s*(\[\s*)?` + table + `\b`).Match(text)
		switch {
		case p.Key == n, strings.HasPrefix(p.Key, n+"."), strings.HasPrefix(n, p.Key+"."):
			return true
		case n == "redis" && unseen && !strings.Contains(p.Key, "."): // a default would be another store
			return true
		}
	}
	return false
}

// blank makes a line empty; the others keep their places.
func blank(text []byte, line int) {
	for n := range bytes.Lines(text) {
		if line--; line == 0 {
			for i := range bytes.TrimRight(n, "\r\n") {
				n[i] = ' '
			}
		}
	}
}

var (
	header  = regexp.MustCompile(`(?m)^\s*\[\[?\s*([^\]\s]+)\s*\]`)
	keyName = regexp.MustCompile(`^\s*([A-Za-z0-9_.-]+)\s*=`)
)

// keyAt names the key of a line by the text before it; of a header, the table.
func keyAt(before, line string) string {
	if m := header.FindStringSubmatch(line); m != nil {
		return m[1]
	}
	var key string
	if m := keyName.FindStringSubmatch(line); m != nil {
		key = m[1]
	}
	all := header.FindAllStringSubmatch(before, -1)
	switch {
	case len(all) == 0:
		return key
	case key == "":
		return all[len(all)-1][1]
	}
	return all[len(all)-1][1] + "." + key
}
