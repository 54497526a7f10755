package test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Each test that the manual names exists, and each row of docs/security.md names one.
func TestTheManualNamesTestsThatExist(t *testing.T) {
	t.Parallel()
	tests := map[string]bool{}
	err := filepath.WalkDir("..", func(path string, _ fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, "_test.go") {
			text, err := os.ReadFile(path)
			for _, name := range regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`).FindAllSubmatch(text, -1) {
				tests[string(name[1])] = true
			}
			return err
		}
		return err
	})
	if err != nil || !tests["TestTheManualNamesTestsThatExist"] {
		t.Fatalf("%d tests found, %v", len(tests), err)
	}
	manuals, err := filepath.Glob("../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range manuals {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range regexp.MustCompile("`((?:Test|Fuzz)[A-Z]\\w+)`").FindAllSubmatch(text, -1) {
			if !tests[string(name[1])] {
				t.Errorf("%s names %s, which does not exist", file, name[1])
			}
		}
		if filepath.Base(file) == "security.md" {
			rowsNameTests(t, string(text))
		}
	}
}

func rowsNameTests(t *testing.T, text string) {
	t.Helper()
	rows := 0
	for line := range strings.SplitSeq(text, "\n") {
		if !strings.HasPrefix(line, "| ") || strings.HasPrefix(line, "| attacker |") {
			continue
		}
		rows++
		if !regexp.MustCompile("\\| `(Test|Fuzz)[^|]*\\|$").MatchString(line) {
			t.Errorf("docs/security.md: no test shows this:\n%s", line)
		}
	}
	if rows < 20 {
		t.Errorf("docs/security.md has only %d rows", rows)
	}
}
