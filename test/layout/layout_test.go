// Package layout guards the layers of the project, and the form of its code.
package layout

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/recall-milter/recall-milter/"

// mayImport says for each layer, from the top, which other packages of this project it may import. A package belongs to
// the first layer whose name begins its path.
var mayImport = []struct{ layer, layers string }{
	{"test", "test/ internal/ policy holdstore"},
	{"cmd/", "internal/ milter policy holdstore"},
	{"internal/monitor", "milter internal/ policy holdstore"}, // it measures what a session does
	{"milter", "milter/ internal/ policy holdstore"},
	{"internal/lazyregexp", ""},
	{"internal/mailmsg", "internal/lazyregexp policy"},
	{"internal/outlook", "internal/outlook/ internal/mailmsg policy"},
	{"internal/protocol", "internal/protocol/ internal/mailmsg internal/sanitize policy"},
	{"internal/recall/command",
		"internal/lazyregexp internal/mailmsg internal/outlook policy"},
	{"internal/sanitize", ""},
	{"internal/words", ""},
	{"internal/sender", "internal/authenticate policy holdstore"},
	{"internal/post", "internal/protocol internal/mailmsg internal/mark internal/sanitize internal/words policy " +
		"holdstore"},
	{"internal/", "internal/ policy holdstore"},
	{"policy", ""},
	{"holdstore", "holdstore/internal/"},
}

// onlyImporter names the one layer, next to the tests, that imports a library.
var onlyImporter = map[string]string{"github.com/redis/go-redis/": "holdstore",
	"github.com/emersion/go-milter": "milter"}

func TestImportsPointDownward(t *testing.T) {
	t.Parallel()
	command := exec.Command("go", "list", "-f", `{{.ImportPath}} {{join .Imports " "}}`, "./...")
	command.Dir = "../.."
	out, err := command.Output()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(out)) {
		words := strings.Fields(strings.ReplaceAll(line, module, ""))
		for _, wrong := range upward(words[0], words[1:], strings.Fields(line)[1:]) {
			t.Error(wrong)
		}
	}
	if wrong := upward("policy", []string{"holdstore"}, []string{module + "holdstore"}); len(wrong) != 1 {
		t.Errorf("an import that points upward is not seen: %v", wrong)
	}
}

// upward lists the imports that a package of this project must not have; ours are they with names inside the project.
func upward(from string, ours, full []string) (wrong []string) {
	n := slices.IndexFunc(mayImport, func(l struct{ layer, layers string }) bool { return isIn(from, l.layer) })
	if n < 0 {
		return []string{from + " is in no layer"}
	}
	layers := strings.Fields(mayImport[n].layers)
	for k, to := range full {
		may := func(layer string) bool { return isIn(ours[k], layer) }
		if strings.HasPrefix(to, module) && !slices.ContainsFunc(layers, may) {
			wrong = append(wrong, from+" imports "+ours[k]+", which is not below it")
		}
		for what, alone := range onlyImporter {
			if strings.HasPrefix(to, what) && !strings.HasPrefix(from, alone) && !strings.HasPrefix(from, "test") {
				wrong = append(wrong, from+" imports "+to+", which only "+alone+" may")
			}
		}
	}
	return wrong
}

// isIn says whether a package is a layer, or below it.
func isIn(name, layer string) bool {
	return strings.HasPrefix(name+"/", strings.TrimSuffix(layer, "/")+"/")
}
