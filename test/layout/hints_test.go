package layout

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// told is a command of recallctl in a text: a verb with what follows.
var told = regexp.MustCompile(`\brecallctl (list|show|recall|release|extend|restore|pause|resume|drain|export|watch` +
	`|log|stats|test|key|token|link|fsck|doctor|setup)\b`)

// mayTell are texts with commands that are not for pasting: help texts, which are written once, fixes of doctor, which
// its pasteable completes, and words on how a command is called.
var mayTell = regexp.MustCompile(`^(cmd/recallctl/help\.go|internal/doctor/.*|internal/monitor/.*): |` +
	`: (say what: |print only IDs|it has no key: make one with recallctl key new$)`)

// A command that somebody is told to type is written by internal/hint: it names the config that is meant. On a machine
// with two gateways it would act on the other one.
func TestCommandsThatAreToldNameTheirGateway(t *testing.T) {
	t.Parallel()
	for _, top := range []string{"cmd", "internal", "milter", "policy", "holdstore"} {
		err := filepath.WalkDir(filepath.Join("../..", top), func(path string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
			if err != nil {
				return err
			}
			name, _ := filepath.Rel("../..", path)
			for _, text := range texts(file) {
				if line := name + ": " + text; told.MatchString(text) && !mayTell.MatchString(line) {
					t.Error(line)
				}
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
}

// texts are the strings of a file, but for the examples and long texts of help.
func texts(file *ast.File) (all []string) {
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.KeyValueExpr:
			key, ok := n.Key.(*ast.Ident)
			return !ok || !isHelp(key)
		case *ast.AssignStmt:
			field, ok := n.Lhs[0].(*ast.SelectorExpr)
			return !ok || !isHelp(field.Sel)
		case *ast.BasicLit:
			if n.Kind == token.STRING {
				all = append(all, strings.Trim(n.Value, "`\""))
			}
		}
		return true
	})
	return all
}

func isHelp(field *ast.Ident) bool { return field.Name == "Example" || field.Name == "Long" }
