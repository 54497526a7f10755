package service

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/recall-milter/recall-milter/internal/config"
)

// The pages are written by hand; what they say of flags and exit codes is held against the program.
func TestTheManualPagesHaveEveryFlagAndExitCode(t *testing.T) {
	for _, name := range []string{"recall-milter", "recall-web"} {
		text, err := os.ReadFile("../../packaging/man/" + name + ".8")
		if err != nil {
			t.Fatal(err)
		}
		page := string(text)

		taken := flagsOf(t, name)
		options, rest, _ := strings.Cut(page[strings.Index(page, ".SH OPTIONS"):], ".SH ENVIRONMENT")
		if described := submatches(`(?m)^\.BI? \\-(\w+)`, options); !slices.Equal(described, taken) {
			t.Errorf("%s: the page has the flags %v, the program %v", name, described, taken)
		}
		codes := []string{"0", strconv.Itoa(exitUsage), strconv.Itoa(exitFailed), strconv.Itoa(exitConfig)}
		_, status, _ := strings.Cut(rest, ".SH EXIT STATUS")
		if described := submatches(`(?m)^\.B (\d+)$`, status); !slices.Equal(described, codes) {
			t.Errorf("%s: the page has the exit codes %v, the program %v", name, described, codes)
		}
		if !strings.Contains(strings.ReplaceAll(page, `\-`, "-"), config.DefaultFile) {
			t.Errorf("%s: the page does not name %s", name, config.DefaultFile)
		}
	}
}

// What a document has people type is an option of the program.
func TestDocumentsNameOptionsThatADaemonHas(t *testing.T) {
	documents := []string{"../../SECURITY.md", "../../README.md", "../../CONTRIBUTING.md"}
	for _, pattern := range []string{"../../docs/*.md", "../../.github/*/*.md"} {
		found, err := filepath.Glob(pattern)
		if err != nil || len(found) == 0 {
			t.Fatalf("%s: %d documents, %v", pattern, len(found), err)
		}
		documents = append(documents, found...)
	}
	for _, name := range []string{"recall-milter", "recall-web"} {
		taken, typed := flagsOf(t, name), 0
		for _, document := range documents {
			text, err := os.ReadFile(document)
			if err != nil {
				t.Fatal(err)
			}
			for _, option := range submatches("(?m)(?:^ *|[`$&] ?)"+name+` --?(\w+)`, string(text)) {
				typed++
				if !slices.Contains(taken, option) {
					t.Errorf("%s has people type %s -%s, which has only %v", document, name, option, taken)
				}
			}
		}
		if typed == 0 {
			t.Errorf("no document has people type an option of %s", name)
		}
	}
}

// flagsOf are the flags that the help of a daemon lists.
func flagsOf(t *testing.T, name string) []string {
	t.Helper()
	var usage strings.Builder
	if code := (Service{Name: name}).Run(context.Background(), []string{"-h"}, &usage, io.Discard); code != 0 {
		t.Errorf("-h ends with %d", code)
	}
	return submatches(`(?m)^  -(\w+)`, usage.String())
}

// submatches are the first groups of all matches, sorted: the page has its own order.
func submatches(pattern, text string) []string {
	var all []string
	for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(text, -1) {
		all = append(all, m[1])
	}
	slices.Sort(all)
	return all
}
