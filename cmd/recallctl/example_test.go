package main

import (
	"bytes"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/recall-milter/recall-milter/test/server"
)

var (
	quoted     = regexp.MustCompile(`"[^"]*"|'[^']*'`)
	redirected = regexp.MustCompile(`\s(\|.*|[<>] ?[\w./]+)$`)
	exitCode   = regexp.MustCompile(`\b\d+\b`)
)

// Each example of a help text is a right command line in a shell, and ends with an exit code that the help explains:
// here without a store, as an administrator tries it in the worst moment.
func TestEveryExampleIsACommandThatWorks(t *testing.T) {
	t.Chdir(t.TempDir())
	conf := fmt.Sprintf("[redis]\naddresses = [%q]\n", server.FreeAddr(t))
	for name, text := range map[string]string{"c.toml": conf, "mail.eml": "From: a@corp.test\nSubject: x\n\nx\n"} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// These would change this machine, or ask it, and watch needs a terminal.
	elsewhere := []string{"setup", "doctor", "key", "new", "rotate", "watch", "completion", "help"}
	tried := 0
	var each func(cmd *cobra.Command)
	each = func(cmd *cobra.Command) {
		for _, verb := range cmd.Commands() {
			if verb.Hidden || slices.Contains(elsewhere, verb.Name()) && verb.CommandPath() != "recallctl token new" {
				continue
			}
			_, codes, _ := strings.Cut(verb.Long, "Exit codes: ")
			for line := range strings.Lines(verb.Example) {
				if tried++; !exampleWorks(t, strings.TrimSpace(line), exitCode.FindAllString(codes, -1)) {
					t.Errorf("%s --help: %s", verb.CommandPath(), line)
				}
			}
			each(verb)
		}
	}
	var words bytes.Buffer
	each((&ctl{screen: newScreen(&words, &words)}).root())
	if tried < 40 {
		t.Errorf("only %d examples", tried)
	}
}

// exampleWorks says whether a command line is not a wrong command, and ends with one of some codes; none: any.
func exampleWorks(t *testing.T, line string, codes []string) bool {
	t.Helper()
	if bare := redirected.ReplaceAllString(quoted.ReplaceAllString(line, ""), ""); strings.ContainsAny(bare, "<>*?$;&") {
		t.Error("a shell would not give it to recallctl as it is")
		return false
	}
	line = redirected.ReplaceAllString(line, "")
	args := []string{"-c", "c.toml"}
	for _, word := range shell.FindAllString(line, -1)[1:] {
		if !strings.HasPrefix(word, "-c") && !strings.HasSuffix(word, ".toml") {
			args = append(args, strings.Trim(word, `"'`))
		}
	}
	var stdout, stderr bytes.Buffer
	code := run(t.Context(), args, strings.NewReader("Subject: x\n\nx\n"), &stdout, &stderr)
	if code == exitUsage || len(codes) > 0 && !slices.Contains(codes, fmt.Sprint(code)) {
		t.Errorf("exit %d, not one of %v: %s", code, codes, stderr.String())
		return false
	}
	return true
}
