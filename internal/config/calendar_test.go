package config

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/policy"
)

// The zone of the gateway is what a rule has without zone; by the name "Local" nobody would know which it is.
func TestAZoneIsANameOfTheDatabase(t *testing.T) {
	t.Parallel()
	for _, place := range []string{"[hold]\n", "[[hold.rule]]\nname = \"r\"\ntime = \"Mon\"\n"} {
		for zone, fine := range map[string]bool{"UTC": true, "Europe/Vienna": true, "": true, "Local": false,
			"Wien": false, "../Vienna": false} {
			_, err := Parse("x.toml", []byte(place+"zone = \""+zone+"\"\n"))
			if (err == nil) != fine || !fine && !strings.Contains(err.Error(), "invalid zone \""+zone+"\"") {
				t.Errorf("zone %q in %q: %v", zone, place, err)
			}
		}
	}
}

// A rule has the zone and the holidays of [hold], unless it has its own.
func TestARuleInheritsTheCalendar(t *testing.T) {
	t.Parallel()
	c, err := Parse("x.toml", []byte("[hold]\nzone = \"Europe/Vienna\"\nholidays = [\"12-24\"]\n"+
		rule(`time = "Mon"`)+"[[hold.rule]]\nname = \"own\"\ntime = \"Mon\"\nzone = \"UTC\"\nholidays = [\"12-25\"]\n"))
	if err != nil {
		t.Fatal(err)
	}
	day, err := policy.ParseWindow("Holiday")
	if err != nil {
		t.Fatal(err)
	}
	eve := time.Date(2026, 12, 24, 12, 0, 0, 0, time.UTC)
	for n, want := range []struct {
		zone     string
		holidays []bool // the 24th, the 25th
	}{{"Europe/Vienna", []bool{true, false}}, {"UTC", []bool{false, true}}} {
		calendar, err := c.Calendar(&c.Hold.Rules[n])
		if err != nil || calendar.Zone == nil || calendar.Zone.String() != want.zone {
			t.Fatalf("rule %d: zone %v, %v", n, calendar.Zone, err)
		}
		got := []bool{day.Contains(eve, &calendar), day.Contains(eve.AddDate(0, 0, 1), &calendar)}
		if !slices.Equal(got, want.holidays) {
			t.Errorf("rule %d: holidays %v, want %v", n, got, want.holidays)
		}
	}
}

// A file of dates is not read as a list of patterns.
func TestNamesOfHolidaysAreNoLists(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	for _, name := range []string{"days", "own-days", "people"} {
		if err := os.WriteFile(filepath.Join(folder, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c, err := Parse(filepath.Join(folder, "x.toml"), []byte("[hold]\nholidays = [\"@days\"]\n"+
		rule(`time = "Mon"`, `sender = ["@people"]`)+
		"[[hold.rule]]\nname = \"own\"\ntime = \"Mon\"\nholidays = [\"@own-days\"]\n"))
	if err != nil {
		t.Fatal(err)
	}
	if got := c.ListNames(); !slices.Equal(got, []string{"people"}) {
		t.Errorf("lists %q", got)
	}
	if got := c.FileNames(); !slices.Equal(got, []string{"days", "own-days", "people"}) {
		t.Errorf("files %q", got)
	}
}
