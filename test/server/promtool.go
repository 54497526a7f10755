package server

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Promtool runs Prometheus's own checker, and returns what it says. Its failure is the test's.
func Promtool(t testing.TB, stdin string, args ...string) string {
	t.Helper()
	program, err := exec.LookPath("promtool")
	if err != nil {
		program = filepath.Join(unpacked(t, "prometheus"), "usr/bin/promtool")
	}
	c := exec.Command(program, args...)
	c.Stdin = strings.NewReader(stdin)
	out, err := c.CombinedOutput()
	if err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}
