package service

import (
	"context"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/recall-milter/recall-milter/internal/config"
)

// milter is a service that finds nothing wrong and does nothing.
var milter = Service{
	Name: "recall-milter",
	Open: func(*config.Config, string, io.Writer) (func(context.Context) error, error) {
		return func(context.Context) error { return nil }, nil
	},
}

// -h is not an error, and what is wrong with the arguments is said on standard error.
func TestHelpAndArguments(t *testing.T) {
	for _, c := range []struct {
		args           []string
		code           int
		stdout, stderr string
	}{
		{[]string{"-h"}, 0, "Usage: recall-milter [-c FILE]", ""},
		{[]string{"--help"}, 0, "Examples:", ""},
		{[]string{"-x"}, 64, "", "recall-milter: flag provided but not defined: -x: see recall-milter -h\n"},
		{[]string{"x"}, 64, "", "unexpected argument"},
	} {
		var stdout, stderr strings.Builder
		code := milter.Run(context.Background(), c.args, &stdout, &stderr)
		if code != c.code || !strings.Contains(stdout.String(), c.stdout) || !strings.Contains(stderr.String(), c.stderr) ||
			c.stderr == "" && stderr.Len() > 0 {
			t.Errorf("%v: %d %q %q", c.args, code, stdout.String(), stderr.String())
		}
	}
}

// -t takes a file with doubts, and shows each with its line.
func TestCheckWarnsOfRulesThatNobodyWants(t *testing.T) {
	file := t.TempDir() + "/c.toml"
	text := "[hold]\ngrace = \"1m\"\n[[hold.rule]]\nname = \"all\"\n[[hold.rule]]\nname = \"late\"\nsender = [\"a@x\"]\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var stdout, stderr strings.Builder
	code := milter.Run(context.Background(), []string{"-t", "-c", file}, &stdout, &stderr)
	if code != 0 || !strings.Contains(stdout.String(), "is valid") ||
		strings.Count(stderr.String(), "recall-milter: warning: "+file+":") != 2 ||
		!strings.Contains(stderr.String(), `:3:8: the rule "all" matches all mail`) ||
		!strings.Contains(stderr.String(), `:5:8: the rule "late" never matches`) {
		t.Errorf("%d\n%s\n%s", code, stdout.String(), stderr.String())
	}
}
