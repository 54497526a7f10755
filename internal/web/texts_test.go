package web

import (
	"io/fs"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
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
		for _, m := range regexp.MustCompile(`\b(?:t|at) "([a-z-]+)"`).FindAllSubmatch(source, -1) {
			if texts.Say("en", string(m[1])) == string(m[1]) {
				t.Errorf("%s: there is no text %s", f, m[1])
			}
		}
	}
}

// Every verb that the timeline or the audit trail can have is in the texts: none is shown as the program writes it.
func TestEveryVerbHasAText(t *testing.T) {
	t.Parallel()
	texts, err := ReadTexts("")
	if err != nil {
		t.Fatal(err)
	}
	written := regexp.MustCompile(`(?:\b(?:[Vv]erb|event): *|\.Audit\([^"\n]*)"([a-z ]+)"`)
	found := map[string]bool{}
	err = filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		source, err := os.ReadFile(path)
		for _, m := range written.FindAllSubmatch(source, -1) {
			found[string(m[1])] = true
		}
		return err
	})
	if err != nil || len(found) < 15 {
		t.Fatalf("only %v: %v", found, err)
	}
	for verb := range found {
		if key := "verb-" + strings.ReplaceAll(verb, " ", "-"); texts.Say("en", key) == key {
			t.Errorf("the verb %q has no text", verb)
		}
	}
}

// A site's own text is on the page in place of ours, and is text there, whatever it has in it.
func TestASitesTextIsOnThePage(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "it.txt"), []byte("name: Posta <b>\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	texts, err := ReadTexts(folder, "en", "it")
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{texts: texts, pageTemplates: texts.templates(time.Time.Local)}
	r := httptest.NewRequest("GET", "/nothing", nil)
	r.Header.Set("Accept-Language", "it")
	w := httptest.NewRecorder()
	s.fail(w, r, notFound())
	for _, want := range []string{`<html lang="it">`, "Posta &lt;b&gt;", "There is no such message"} {
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s is not in:\n%s", want, w.Body)
		}
	}
}
