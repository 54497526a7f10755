//go:build bench

package test

import (
	"os"
	"strings"
	"testing"
)

// packagedSettings are those of the packages' Redis that decide how it keeps its data, as arguments of a server.
func packagedSettings(t testing.TB) (args []string) {
	text, err := os.ReadFile("../packaging/store/store.conf")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		if strings.Contains(name, "-max-") || name == "rdbcompression" {
			args = append(args, "--"+name, value)
		}
	}
	return args
}
