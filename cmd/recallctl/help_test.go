package main

import (
	"bytes"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// Every verb says in its help what it does, in the imperative, with its exit codes and two examples that are
// understood.
func TestEveryVerbExplainsItself(t *testing.T) {
	var words bytes.Buffer
	root := (&ctl{screen: newScreen(&words, &words)}).root()
	explained := 0
	var each func(cmd *cobra.Command)
	each = func(cmd *cobra.Command) {
		for _, verb := range cmd.Commands() {
			if verb.Hidden || verb.Name() == "help" || verb.Name() == "completion" {
				continue
			}
			explained++
			name := verb.CommandPath()
			if !regexp.MustCompile(`^[A-Z]`).MatchString(verb.Short) || strings.HasSuffix(verb.Short, ".") {
				t.Errorf("%s: %q", name, verb.Short)
			}
			if !strings.Contains(verb.Long, "Exit codes: ") {
				t.Errorf("%s --help names no exit codes", name)
			}
			examples := strings.Split(verb.Example, "\n")
			if len(examples) < 2 {
				t.Errorf("%s --help has %d examples", name, len(examples))
			}
			for _, line := range examples {
				if err := understood(strings.TrimSpace(strings.ReplaceAll(line, " <mail.eml", ""))); err != nil {
					t.Errorf("%s: %s: %v", name, line, err)
				}
			}
			each(verb)
		}
	}
	each(root)
	if explained < 20 {
		t.Errorf("only %d verbs", explained)
	}
}
