package layout

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"
)

// Bounds of the form of our code. What runs under load or in an emergency is read on narrow screens.
const (
	maxColumns = 120 // characters of a line; a tab is one
	maxLines   = 60  // of a function
)

func TestCodeIsNarrowAndItsFunctionsShort(t *testing.T) {
	t.Parallel()
	for _, root := range []string{"cmd", "holdstore", "internal", "milter", "policy", "test"} {
		err := filepath.WalkDir(filepath.Join("../..", root), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") {
				return err
			}
			for _, line := range wideLines(t, path) {
				t.Errorf("%s:%d has more than %d characters", path, line, maxColumns)
			}
			if strings.HasSuffix(path, "_test.go") {
				return nil // a test may be a long table
			}
			for _, name := range longFunctions(t, path) {
				t.Errorf("%s: %s has more than %d lines", path, name, maxLines)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func wideLines(t *testing.T, path string) (lines []int) {
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for n, line := range strings.Split(string(text), "\n") {
		if utf8.RuneCountInString(line) > maxColumns {
			lines = append(lines, n+1)
		}
	}
	return lines
}

func longFunctions(t *testing.T, path string) (names []string) {
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, path, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range file.Decls {
		f, ok := d.(*ast.FuncDecl)
		if ok && files.Position(f.End()).Line-files.Position(f.Pos()).Line >= maxLines {
			names = append(names, f.Name.Name)
		}
	}
	return names
}
