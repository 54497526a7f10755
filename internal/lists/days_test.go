package lists

import (
	"strings"
	"testing"
	"time"
)

// Holidays in a file are in force when the file has changed; a broken one changes nothing, and what it has is not said.
func TestAFileOfHolidaysIsReadAgain(t *testing.T) {
	t.Parallel()
	o := newOffice(t, "# of every year\n12-25\tChristmas\n2026-12-24\n")
	holidays, err := o.set.Holidays([]string{"2026-01-06", "@vips"})
	if err != nil {
		t.Fatal(err)
	}
	past := func(day string) bool {
		at, err := time.Parse(time.DateOnly, day)
		if err != nil {
			t.Fatal(err)
		}
		return holidays.Past(at)
	}
	if past("2027-01-01") {
		t.Error("no 12-25 is to come")
	}
	o.write("2026-12-24\n")
	if got := o.pass(3 * time.Second); got != "vips has 1 entries" || !past("2027-01-01") || past("2026-12-24") {
		t.Error(got)
	}
	o.write("2027-02-01\nsecret 24.12.\n")
	got := o.pass(3 * time.Second)
	if !strings.Contains(got, "line 2: invalid date") || strings.Contains(got, "secret") || !past("2027-01-01") {
		t.Error(got)
	}
	if _, err := New(t.TempDir()).Holidays([]string{"@none"}); err == nil {
		t.Error("a file that is not there was taken")
	}
	if _, err := o.set.Holidays([]string{"@socketmap:unix:/x:y"}); err == nil {
		t.Error("a socketmap was taken")
	}
}
