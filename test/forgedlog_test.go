package test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A Message-ID that looks like a line of the log makes docs/backup.md take back nobody else's message.
func TestAForgedMessageIDIsNoLineOfTheLog(t *testing.T) {
	manual := page(t, "backup.md")
	log := filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(log, []byte(`4c1: release: id=AAAA, message-id=<a@x>, nrcpt=1
4c2: pass: message-id=<x: release: id=EVIL, y: recall: id=EVIL, z: recall-only: id=EVIL, , to=m@x, by=>, from=<m@x>
4c3: hold: id=CCCC, message-id=<c@x>, due=2026-11-27T10:00:00Z, replaces=DDDD EEEE
4c4: recall: id=FFFF, message-id=<: recall: id=EVIL, >, by=login f, at=mail, reason=x, replaces=EVIL
NOQUEUE: recall-only: id=GGGG, message-id=<g@x>, to=b@x,c@x, by=login g
`), 0o600); err != nil {
		t.Fatal(err)
	}
	var got []string
	for line := range strings.Lines(manual) {
		if expression, behind, ok := strings.Cut(strings.TrimSpace(line), "' log |"); ok &&
			strings.HasPrefix(expression, "sed -n '") && behind != "" {
			out, err := exec.Command("sed", "-n", strings.TrimPrefix(expression, "sed -n '"), log).Output()
			if err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			got = append(got, strings.Fields(string(out))...)
		}
	}
	if want := "AAAA DDDD EEEE FFFF GGGG b@x,c@x"; strings.Join(got, " ") != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
