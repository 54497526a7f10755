package server

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// SpamAssassin is a folder of settings for one.
type SpamAssassin struct{ dir string }

// NewSpamAssassin makes a folder with the distribution's plugins and these files, by name. It asks no network.
func NewSpamAssassin(t testing.TB, files map[string]string) SpamAssassin {
	t.Helper()
	s := SpamAssassin{openDir(t, "spamassassin")}
	plugins, err := filepath.Glob("/etc/spamassassin/*.pre")
	if err != nil || len(plugins) == 0 {
		t.Fatalf("spamassassin is not installed: run make deps: %v", err)
	}
	for _, name := range plugins {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(s.dir, filepath.Base(name)), string(text))
	}
	for name, text := range files {
		write(t, filepath.Join(s.dir, name), text)
	}
	write(t, filepath.Join(s.dir, "user_prefs"), "")
	write(t, filepath.Join(s.dir, "zz-test.cf"),
		"use_bayes 0\nreport_safe 0\nfold_headers 0\nclear_headers\nadd_header all Status _SCORE_ _TESTS(,)_\n")
	return s
}

func (s SpamAssassin) run(t testing.TB, stdin string, args ...string) string {
	t.Helper()
	c := exec.Command(Program(t, "spamassassin"),
		append([]string{"--local", "--siteconfigpath=" + s.dir, "--prefspath=" + filepath.Join(s.dir, "user_prefs")},
			args...)...)
	var out, words bytes.Buffer
	c.Stdin, c.Stdout, c.Stderr = strings.NewReader(stdin), &out, &words
	if err := c.Run(); err != nil || words.Len() > 0 {
		t.Errorf("spamassassin %v: %v\n%s", args, err, words.String())
	}
	return out.String()
}

// Lint fails the test when its settings have a defect.
func (s SpamAssassin) Lint(t testing.TB) {
	t.Helper()
	s.run(t, "", "--lint")
}

// Judge returns for each mail the score and the names of the rules that hit, "12.3 A,B,C".
func (s SpamAssassin) Judge(t testing.TB, mails ...string) []string {
	t.Helper()
	var box strings.Builder
	for n, m := range mails {
		fmt.Fprintf(&box, "From x@x.test Wed Nov 25 09:00:00 2026\nX-Number: %d\n%s\n\n", n,
			strings.ReplaceAll(m, "\r\n", "\n"))
	}
	all, status := make([]string, len(mails)), ""
	for line := range strings.Lines(s.run(t, box.String(), "--mbox")) { // not in the order in which they went in
		if text, ok := strings.CutPrefix(line, "X-Spam-Status: "); ok {
			status = strings.TrimSpace(text)
		}
		if number, ok := strings.CutPrefix(line, "X-Number: "); ok {
			n, _ := strconv.Atoi(strings.TrimSpace(number))
			all[n] = status
		}
	}
	return all
}
