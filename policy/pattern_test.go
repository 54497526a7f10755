package policy

import (
	"testing"
	"time"
)

func TestPatterns(t *testing.T) {
	for _, c := range []struct {
		pattern, value string
		want           bool
	}{
		{"*@corp.test", "A@Corp.test", true}, {"*@corp.test", "a@corp.test.evil", false}, {"!*@corp.test", "a@x.test", true},
		{"ceo@*", "ceo@a.b/c", true}, {"c?o@corp.test", "cfo@corp.test", true}, {"a.b@*", "axb@x", false}, {"[a]*", "a", false},
		{"/^(ceo|cfo)@/", "CFO@corp.test", true}, {"!/x/", "abc", true}, {"/", "/", true}, {"a@x", "a@x\n", false},
	} {
		p, err := ParsePattern(c.pattern)
		if err != nil || p.Match(c.value) != c.want {
			t.Errorf("%q on %q: %v, want %v", c.pattern, c.value, err, c.want)
		}
	}
	for _, bad := range []string{"", "!", "/(/"} {
		if _, err := ParsePattern(bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

func TestWindows(t *testing.T) {
	at := func(day, hour, minute int) time.Time {
		return time.Date(2026, 11, 22+day, hour, minute, 0, 0, time.UTC)
	} // day 0 is a Sunday
	for _, c := range []struct {
		window string
		at     time.Time
		want   bool
	}{
		{"Mon-Fri 08:00-18:00", at(1, 8, 0), true}, {"Mon-Fri 08:00-18:00", at(1, 18, 0), false}, {"Mon-Fri 08:00-18:00", at(6, 9, 0), false},
		{"sat,Sun", at(6, 23, 59), true}, {"sat,Sun", at(1, 0, 0), false}, {"Fri-Mon", at(0, 1, 0), true}, {"22:00-06:00", at(3, 23, 0), true},
		{"22:00-06:00", at(3, 6, 0), false}, {"Fri 22:00-06:00", at(6, 5, 59), true}, {"Fri 22:00-06:00", at(5, 5, 59), false}, {"00:00-24:00", at(2, 23, 59), true},
	} {
		w, err := ParseWindow(c.window)
		if err != nil || w.Contains(c.at) != c.want {
			t.Errorf("%q at %v: %v, want %v", c.window, c.at, err, c.want)
		}
	}
	for _, bad := range []string{"", "Mon-", "Mon 8-18", "25:00-26:00", "Mon 08:00-18:00 UTC", "08:00-08:00", "Moon", "24:00-08:00"} {
		if _, err := ParseWindow(bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"*@corp.test", "/a|b/", "!x", "Mon-Fri 08:00-18:00", "22:00-06:00"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if p, err := ParsePattern(text); err == nil {
			p.Match(text)
		}
		if w, err := ParseWindow(text); err == nil {
			w.Contains(time.Unix(int64(len(text))*3600, 0))
		}
	})
}
