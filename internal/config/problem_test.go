package config

import (
	"errors"
	"strings"
	"testing"
)

// A log has a line for each error. The line of the file and the mark under it stay where there is room for three.
func TestEachErrorIsOneLineOfALog(t *testing.T) {
	t.Parallel()
	_, err := parse("x.toml", []byte("[hold]\ngrace = \"soon\"\nwish = \"no\"\n"), nil, "")
	lines := Lines(err)
	if len(lines) != 2 || !strings.HasPrefix(lines[0], "x.toml:2:") || !strings.HasPrefix(lines[1], "x.toml:3:") ||
		strings.Contains(strings.Join(lines, ""), "\n") || !strings.Contains(lines[0], `invalid duration "soon"`) {
		t.Errorf("%q", lines)
	}
	if other := Lines(errors.New("no file")); len(other) != 1 || other[0] != "no file" {
		t.Errorf("%q", other)
	}
}
