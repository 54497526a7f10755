// Package roundcube checks the Roundcube plugin without a Roundcube: its form, its languages, and its rules, where the
// programs for that are there.
package roundcube

import (
	"os/exec"
	"path/filepath"
	"testing"
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
