package config

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	fenced   = regexp.MustCompile("(?ms)^```toml\n(.*?)^```")
	indented = regexp.MustCompile(`(?m)^( {4,})\[+[a-z_.]+\]+.*\n(?:(?: {4,}.*)?\n)*`)
	// what a config has: tables, keys, comments, the elements of a list
	ofConfig = regexp.MustCompile(`^(\[+[a-z_.]+\]+.*|[A-Za-z_][\w.-]* *=.*|#.*|["\]].*|)$`)
)

// What the manual shows of the config is taken as it is written there.
func TestWhatTheManualShowsOfTheConfigIsValid(t *testing.T) {
	pages, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	shown := 0
	for _, page := range append(pages, "../../README.md") {
		for _, text := range shownIn(string(read(t, page))) {
			shown++
			if _, err := Parse(nextToItsLists(t, text), []byte(text)); err != nil {
				t.Errorf("%s: %v\n%s", page, err, text)
			}
		}
	}
	if shown < 15 {
		t.Errorf("only %d pieces of config were found", shown)
	}
}

// nextToItsLists returns the name of a file for a config, in a folder with the lists that it names.
func nextToItsLists(t *testing.T, text string) string {
	t.Helper()
	folder := t.TempDir()
	for _, m := range regexp.MustCompile(`"!?@([\w.-]+)"`).FindAllStringSubmatch(text, -1) {
		if err := os.WriteFile(filepath.Join(folder, m[1]), []byte("# nobody\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(folder, "recall-milter.toml")
}

// shownIn returns the pieces of config of a page: fenced, or indented up to the first line that is something else.
func shownIn(page string) (all []string) {
	for _, m := range fenced.FindAllStringSubmatch(page, -1) {
		all = append(all, m[1])
	}
	for _, m := range indented.FindAllStringSubmatch(page, -1) {
		var text strings.Builder
		for line := range strings.Lines(m[0]) {
			line = strings.TrimPrefix(strings.TrimSuffix(line, "\n"), m[1])
			if !ofConfig.MatchString(line) {
				break
			}
			text.WriteString(line + "\n")
		}
		all = append(all, text.String())
	}
	return all
}
