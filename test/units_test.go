package test

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// unitOf reads the settings of a unit that we ship, each with its values in order.
func unitOf(t *testing.T, file string) map[string][]string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	settings := map[string][]string{}
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok && !strings.HasPrefix(name, "#") {
			settings[name] = append(settings[name], value)
		}
	}
	return settings
}

// megabytes reads a size of systemd (768M) or of Go (512MiB); 0: it is none.
func megabytes(size string) int {
	n, err := strconv.Atoi(strings.TrimSuffix(strings.TrimSuffix(size, "iB"), "M"))
	if err != nil || !strings.Contains(size, "M") {
		return 0
	}
	return n
}

// The units that we ship bound the memory of what reads mail from strangers, and let no held mail into a core file.
func TestTheUnitsBoundMemoryAndWriteNoCoreFiles(t *testing.T) {
	t.Parallel()
	units, err := filepath.Glob("../packaging/systemd/*.service")
	if err != nil || len(units) < 3 {
		t.Fatal(units, err)
	}
	for _, file := range units {
		unit, name := unitOf(t, file), filepath.Base(file)
		if !slices.Equal(unit["LimitCORE"], []string{"0"}) {
			t.Errorf("%s: LimitCORE=%q", name, unit["LimitCORE"])
		}
		if name == "recall-milter-store.service" { // the server bounds its memory itself, by maxmemory
			continue
		}
		collects := 0
		for _, variable := range unit["Environment"] {
			if limit, ok := strings.CutPrefix(variable, "GOMEMLIMIT="); ok {
				collects = megabytes(limit)
			}
		}
		slowed := 0
		if high := unit["MemoryHigh"]; len(high) == 1 {
			slowed = megabytes(high[0])
		}
		if collects == 0 || slowed <= collects {
			t.Errorf("%s: GOMEMLIMIT is %d MiB, MemoryHigh %d MiB", name, collects, slowed)
		}
		if unit["MemoryMax"] != nil {
			t.Errorf("%s: MemoryMax ends the daemon with mail under way", name)
		}
	}
}
