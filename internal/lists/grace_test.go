package lists

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestAMapOfGracesIsReadLineByLine(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	for text, want := range map[string]string{
		"# who\nA@x.test 5m\n@x.test\tdefault\n* 0s\n": "",
		"a@x.test\n":                 "line 1: invalid entry",
		"x.test 5m\n":                "line 1: invalid entry",
		"*@x.test 5m\n":              "line 1: invalid entry",
		"* 1m\na@x.test soon\n":      "line 2: invalid entry",
		"a@x.test 1m\nA@x.test 2m\n": "line 2: its address is in line 1 already",
	} {
		if err := os.WriteFile(filepath.Join(folder, "graces"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		g, err := New(folder).Graces("graces", time.ParseDuration)
		switch {
		case want != "":
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%q: %v", text, err)
			}
		case err != nil:
			t.Errorf("%q: %v", text, err)
		default:
			for key, entry := range map[string]string{"a@x.test": "5m", "@x.test": "default", "*": "0s", "b@x.test": ""} {
				if got, line := g.Grace(key); got != entry || (line > 0) != (entry != "") {
					t.Errorf("%s has %q in line %d", key, got, line)
				}
			}
		}
	}
}

// A file can be a link to something else, and the log is read by more people than that is: no error quotes a line.
func TestNoErrorOfAFileQuotesALine(t *testing.T) {
	t.Parallel()
	const secret = "s3cret"
	for _, text := range []string{secret, secret + " " + secret, secret + "@x.test " + secret,
		secret + "@x.test 5m " + secret,
		"root:" + secret + ":1:0", "*@" + secret + " 1m", "@" + secret, "!@" + secret, "/" + secret + "(/",
		"!", "!/(" + secret + "/", secret + "\xff", secret + "@x 1m\n" + secret + "@x 1m", "!" + strings.Repeat(secret, 200),
		"2026-12-24-" + secret, "12-25" + secret} {
		folder := t.TempDir()
		if err := os.WriteFile(filepath.Join(folder, "f"), []byte(text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		s := New(folder)
		_, graces := s.Graces("f", func(d string) (time.Duration, error) {
			_, err := time.ParseDuration(d)
			return 0, fmt.Errorf("%q: %w", d, err)
		})
		_, list := s.Open("f")
		_, days := s.Holidays([]string{"@f"})
		for kind, err := range map[string]error{"graces": graces, "list": list, "days": days} {
			if err != nil && (strings.Contains(err.Error(), secret) ||
				!strings.Contains(err.Error(), "list f can't be used: line ")) {
				t.Errorf("%q as %s: %v", text, kind, err)
			}
		}
		if graces == nil || days == nil {
			t.Errorf("%q was taken", text)
		}
	}
}
