package lists

import (
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
		"* 1m\na@x.test soon\n":      "line 2: ",
		"a@x.test 1m\nA@x.test 2m\n": "line 2: A@x.test is in line 1 already",
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
