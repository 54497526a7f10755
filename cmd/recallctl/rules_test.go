package main

import (
	"cmp"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
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
	file, recipes := filepath.Join(t.TempDir(), "c.toml"), 0
	people := filepath.Join(filepath.Dir(file), "map.sock")
	socketmapServer(t, people)
	store := server.StartRedis(t).Addr
	manual := strings.ReplaceAll(string(text), "/run/people/map.sock", people)
	for _, block := range regexp.MustCompile("(?s)```(toml|console)\n(.*?)```").FindAllStringSubmatch(manual, -1) {
		if block[1] == "toml" {
			recipes++
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
	if recipes < 6 {
		t.Errorf("%d recipes", recipes)
	}
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
