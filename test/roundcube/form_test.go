// Package roundcube checks the Roundcube plugin without a Roundcube: its form, its languages, and its rules, where the
// programs for that are there.
package roundcube

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/recall-milter/recall-milter/internal/words"
)

const packaging = "../../packaging/roundcube"

// tool returns a program's path, and skips the test where it is not installed.
func tool(t *testing.T, name, from string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("%s is not there (apt-get install %s): the plugin is not checked with it", name, from)
	}
	return path
}

// files lists the plugin's files whose name has one of these endings.
func files(t *testing.T, endings ...string) (paths []string) {
	t.Helper()
	for _, folder := range []string{"", "lib", "localization"} {
		for _, ending := range endings {
			found, err := filepath.Glob(filepath.Join(packaging, "recall_milter", folder, "*."+ending))
			if err != nil {
				t.Fatal(err)
			}
			paths = append(paths, found...)
		}
	}
	return paths
}

func TestPHPReadsThePlugin(t *testing.T) {
	t.Parallel()
	php := tool(t, "php", "php-cli")
	all := files(t, "php", "inc", "dist")
	if len(all) < 6 {
		t.Fatalf("only %d files were found", len(all))
	}
	for _, file := range all {
		if out, err := exec.Command(php, "-l", file).CombinedOutput(); err != nil {
			t.Errorf("%s", out)
		}
	}
}

func TestThePluginKeepsToItsStyle(t *testing.T) {
	t.Parallel()
	c := exec.Command(tool(t, "phpcs", "php-codesniffer"), "-q", "--standard=phpcs.xml")
	c.Dir = packaging
	if out, err := c.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestTheRulesOfThePlugin(t *testing.T) {
	t.Parallel()
	out, err := exec.Command(tool(t, "php", "php-cli"), "rules.php", packaging+"/recall_milter").CombinedOutput()
	if err != nil || len(out) > 0 {
		t.Errorf("%v\n%s", err, out)
	}
}

var label = regexp.MustCompile(`(?m)^\$labels\['([a-z-]+)'\] = '(.+)';$`)

// labels reads the texts of a language.
func labels(t *testing.T, file string) map[string]string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, m := range label.FindAllStringSubmatch(string(text), -1) {
		all[m[1]] = m[2]
	}
	if n := strings.Count(string(text), "$labels"); n != len(all) {
		t.Errorf("%s: %d of %d lines are texts of their own", file, len(all), n)
	}
	return all
}

// TestThePluginSpeaksTheLanguagesOfThePage also has each text that is used, and uses each text.
func TestThePluginSpeaksTheLanguagesOfThePage(t *testing.T) {
	t.Parallel()
	folder := packaging + "/recall_milter/localization/"
	english := labels(t, folder+"en_US.inc")
	var have []string
	for _, file := range files(t, "inc") {
		have = append(have, filepath.Base(file)[:2])
		other := labels(t, file)
		for name, text := range english {
			if strings.Contains(text, "$n") != strings.Contains(other[name], "$n") || other[name] == "" {
				t.Errorf("%s: %s is %q, in English %q", file, name, other[name], text)
			}
		}
		if len(other) != len(english) {
			t.Errorf("%s has %d texts, English %d", file, len(other), len(english))
		}
	}
	if want := words.Languages(); !slices.Equal(have, want) {
		t.Errorf("the languages are %v, those of the page %v", have, want)
	}
}
