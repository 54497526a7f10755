package main

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// A person waits for recallctl in an emergency, and scripts call it once for each message: what only the daemon needs
// would initialize itself before each command.
func TestRecallctlLinksNothingThatOnlyTheDaemonNeeds(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{
		"github.com/prometheus/client_golang/prometheus",
		"google.golang.org/protobuf/proto",
		"github.com/recall-milter/recall-milter/milter",
		"github.com/recall-milter/recall-milter/internal/monitor",
	} {
		if slices.Contains(strings.Fields(string(out)), name) {
			t.Errorf("recallctl links %s: find out by `go list -deps -json ./cmd/recallctl` who imports it", name)
		}
	}
}
