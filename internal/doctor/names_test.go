package doctor

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const aName = `(?:config|files|redis|holds|daemon|port|mta|postfix|sendmail|dns|mailbox|probe)\.[a-z0-9-]+`

// Each finding is explained in docs/doctor.md, and named by a test that breaks just that.
func TestEachFindingIsExplainedAndTested(t *testing.T) {
	read := func(patterns ...string) (text string) {
		for _, p := range patterns {
			files, err := filepath.Glob(p)
			if err != nil || len(files) == 0 {
				t.Fatalf("%s: no file", p)
			}
			for _, f := range files {
				b, err := os.ReadFile(f)
				if err != nil {
					t.Fatal(err)
				}
				if own := strings.HasSuffix(f, "_test.go"); own == strings.HasSuffix(p, "_test.go") {
					text += string(b)
				}
			}
		}
		return text
	}
	names := func(text, around string) []string {
		var all []string
		for _, m := range regexp.MustCompile(around+"("+aName+")"+around).FindAllStringSubmatch(text, -1) {
			all = append(all, m[1])
		}
		slices.Sort(all)
		return slices.Compact(all)
	}
	code := names(read("*.go", "../../cmd/recallctl/doctor.go", "../config/doubt*.go"), `"`)
	// first cells
	docs := names(strings.Join(regexp.MustCompile("(?m)^\\| `[^|]*\\|").FindAllString(read("../../docs/doctor.md"), -1),
		"\n"), "`")
	tests := read("*_test.go", "../../test/doctor_test.go", "../../test/reload_test.go") +
		read("../../cmd/recallctl/testdata/script/doctor.txtar")
	if len(code) < 80 || !slices.Equal(code, docs) {
		t.Errorf("the code names %d findings, docs/doctor.md %d", len(code), len(docs))
		for _, n := range code {
			if !slices.Contains(docs, n) {
				t.Errorf("docs/doctor.md does not explain %s", n)
			}
		}
		for _, n := range docs {
			if !slices.Contains(code, n) {
				t.Errorf("docs/doctor.md explains %s, which nothing says", n)
			}
		}
	}
	for _, n := range code {
		if !regexp.MustCompile(regexp.QuoteMeta(n) + `[^a-z-]`).MatchString(tests) {
			t.Errorf("no test breaks %s", n)
		}
	}
}
