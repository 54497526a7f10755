package web

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// Every text that a template names is there.
func TestTheTemplatesNameOnlyTexts(t *testing.T) {
	texts, err := ReadTexts("")
	if err != nil {
		t.Fatal(err)
	}
	files, _ := filepath.Glob("templates/*.html")
	for _, f := range files {
		source, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`\bt "([a-z-]+)"`).FindAllSubmatch(source, -1) {
			if texts.Say("en", string(m[1])) == string(m[1]) {
				t.Errorf("%s: there is no text %s", f, m[1])
			}
		}
	}
}
