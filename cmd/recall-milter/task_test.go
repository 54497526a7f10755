package main

import (
	"context"
	"os"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/recall-milter/recall-milter/internal/config"
	"github.com/recall-milter/recall-milter/internal/monitor"
	"github.com/recall-milter/recall-milter/internal/wiring"
)

func TestATaskBeginsAnewAfterAPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		lines, err := wiring.Log(config.Log{Level: "info", Format: "text"}, &out)
		if err != nil {
			t.Fatal(err)
		}
		runs := 0
		task(t.Context(), monitor.New(lines, nil, "1"), "the task", func(context.Context) {
			if runs++; runs < 3 {
				panic("a defect")
			}
		})
		if runs != 3 || strings.Count(out.String(),
			"a defect ended the task, please report it: a defect; goroutine ") != 2 || strings.Count(out.String(), "\n") != 2 {
			t.Errorf("%d runs: %s", runs, out.String())
		}
	})
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
		code := run(context.Background(), c.args, &stdout, &stderr)
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
	code := run(context.Background(), []string{"-t", "-c", file}, &stdout, &stderr)
	if code != 0 || !strings.Contains(stdout.String(), "is valid") ||
		strings.Count(stderr.String(), "recall-milter: warning: "+file+":") != 2 ||
		!strings.Contains(stderr.String(), `:3:8: the rule "all" matches all mail`) ||
		!strings.Contains(stderr.String(), `:5:8: the rule "late" never matches`) {
		t.Errorf("%d\n%s\n%s", code, stdout.String(), stderr.String())
	}
}
