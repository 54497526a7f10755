package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/recall-milter/recall-milter/internal/config"
)

// Each recipe of docs/rules.md is a config without errors or warnings, and what is typed behind it prints what stands
// there.
func TestTheRecipesOfTheManualWork(t *testing.T) {
	text, err := os.ReadFile("../../docs/rules.md")
	if err != nil {
		t.Fatal(err)
	}
	file, recipes := filepath.Join(t.TempDir(), "c.toml"), 0
	for _, block := range regexp.MustCompile("(?s)```(toml|console)\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
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
		command := ""
		for line := range strings.Lines(block[2]) {
			if typed, ok := strings.CutPrefix(line, "$ "); ok {
				command = strings.Replace(typed, "recallctl test", "recallctl -c "+file+" test", 1)
				continue
			}
			out, err := exec.Command("sh", "-c", command).CombinedOutput()
			if err != nil || !strings.HasSuffix("\n"+string(out), "\n"+line) {
				t.Errorf("%s%v: %s, want %s", command, err, out, line)
			}
		}
	}
	if recipes < 6 {
		t.Errorf("%d recipes", recipes)
	}
}
