package main

import (
	"context"
	"io"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/recall-milter/recall-milter/internal/config"
)

// The page is written by hand; what it says of flags and exit codes is held against the program.
func TestTheManualPageHasEveryFlagAndExitCode(t *testing.T) {
	text, err := os.ReadFile("../../packaging/man/recall-web.8")
	if err != nil {
		t.Fatal(err)
	}
	page := string(text)

	var usage strings.Builder
	if code := run(context.Background(), []string{"-h"}, &usage, io.Discard); code != 0 {
		t.Errorf("-h ends with %d", code)
	}
	taken := submatches(`(?m)^  -(\w+)`, usage.String())
	options, rest, _ := strings.Cut(page[strings.Index(page, ".SH OPTIONS"):], ".SH ENVIRONMENT")
	if described := submatches(`(?m)^\.BI? \\-(\w+)`, options); !slices.Equal(described, taken) {
		t.Errorf("the page has the flags %v, the program %v", described, taken)
	}
	codes := []string{"0", strconv.Itoa(exitUsage), strconv.Itoa(exitFailed), strconv.Itoa(exitConfig)}
	_, status, _ := strings.Cut(rest, ".SH EXIT STATUS")
	if described := submatches(`(?m)^\.B (\d+)$`, status); !slices.Equal(described, codes) {
		t.Errorf("the page has the exit codes %v, the program %v", described, codes)
	}
	if !strings.Contains(strings.ReplaceAll(page, `\-`, "-"), config.DefaultFile) {
		t.Errorf("the page does not name %s", config.DefaultFile)
	}
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
