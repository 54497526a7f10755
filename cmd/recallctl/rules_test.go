package main

import (
	"cmp"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/recall-milter/recall-milter/internal/config"

	"github.com/recall-milter/recall-milter/test/server"
)

// Each recipe of docs/rules.md is a config without errors or warnings, and what is typed behind it prints what stands
// there.
func TestTheRecipesOfTheManualWork(t *testing.T) {
	text, err := os.ReadFile("../../docs/rules.md")
	if err != nil {
		t.Fatal(err)
	}
	if got := recipesOf(t, string(text)); !slices.Equal(got, recipes) {
		t.Errorf("the recipes are %q, want %q", got, recipes)
	}
	file := filepath.Join(t.TempDir(), "c.toml")
	people := filepath.Join(filepath.Dir(file), "map.sock")
	socketmapServer(t, people)
	store := server.StartRedis(t).Addr
	manual := strings.ReplaceAll(string(text), "/run/people/map.sock", people)
	for _, block := range regexp.MustCompile("(?s)```(toml|console)\n(.*?)```").FindAllStringSubmatch(manual, -1) {
		if block[1] == "toml" {
			if err := os.WriteFile(file, []byte(block[2]), 0o600); err != nil {
				t.Fatal(err)
			}
			if c, err := config.Load(file); err != nil || len(c.Doubts) > 0 {
				t.Errorf("%v %v:\n%s", err, c, block[2])
			}
			continue
		}
		for typed := range strings.SplitSeq(strings.TrimPrefix(block[2], "$ "), "\n$ ") {
			command, want, _ := strings.Cut(typed, "\n")
			run := exec.Command("sh", "-c", strings.Replace(command, "recallctl ", "recallctl -c "+file+" ", 1))
			run.Env = append(os.Environ(), "RECALL_MILTER_REDIS_ADDRESSES="+store, "RECALL_MILTER_REDIS_DURABILITY=relaxed")
			run.Dir = filepath.Dir(file)
			out, err := run.CombinedOutput()
			if err != nil || !strings.HasSuffix("\n"+strings.TrimSpace(string(out)), "\n"+strings.TrimSpace(want)) {
				t.Errorf("%s: %v: %s, want %s", command, err, out, want)
			}
		}
	}
}

// The recipes of docs/rules.md, in their order. Each has a config, which TestTheRecipesOfTheManualWork tries.
var recipes = []string{
	"Mail to the outside only, of a site with two domains", "People and customers in a file",
	"Each department its grace", "By department from LDAP, through a socketmap",
	"Executives have more time, and an assistant who recalls for them", "The press office may send at once",
	"What is confidential waits longer", "New contacts, and domains that look like others", "Quick replies wait less",
	"A ticket system", "Several domains with settings, texts and reports of their own", "People choose for themselves",
	"Automatic mail passes", "Spreadsheets and archives", "More than ten recipients, several customers at once",
	"A monitoring host and a web shop that must not wait", "Only large mail, only in the evening",
	"Working hours with holidays",
}

// recipesOf returns the headings of the recipes of a manual; it wants a config below each.
func recipesOf(t *testing.T, manual string) (headings []string) {
	t.Helper()
	_, manual, _ = strings.Cut(manual, "\n## Recipes\n")
	manual, _, _ = strings.Cut(manual, "\n## ")
	for _, part := range strings.Split(manual, "\n### ")[1:] {
		heading, text, _ := strings.Cut(part, "\n")
		headings = append(headings, heading)
		if !strings.Contains(text, "\n```toml\n") {
			t.Errorf("the recipe %q has no config", heading)
		}
	}
	return headings
}

// socketmapServer is the server of the recipes: Anna is in the finance department, Bert has chosen a grace, and of
// Carla it can't say anything.
func socketmapServer(t *testing.T, path string) {
	t.Helper()
	answers := map[string]string{"finance anna@corp.test": "OK yes", "grace bert@corp.test": "OK 5m",
		"grace carla@corp.test": "TEMP LDAP is away"}
	server.StartSocketmap(t, "unix", path, func(question string) string {
		return cmp.Or(answers[question], "NOTFOUND ")
	})
}
