package policy

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// of makes a calendar of a zone with holidays.
func of(t *testing.T, zone string, holidays ...string) *Calendar {
	t.Helper()
	where, err := time.LoadLocation(zone)
	if err != nil {
		t.Fatal(err)
	}
	days, err := ParseHolidays(holidays, func(name string) (DayList, error) {
		l := &shelfOfDays{name: name}
		return l, l.days.Add(7, "05-01 "+name)
	})
	if err != nil {
		t.Fatal(err)
	}
	return &Calendar{Zone: where, Holidays: days}
}

// shelfOfDays is a list of dates.
type shelfOfDays struct {
	name string
	days Days
}

func (s *shelfOfDays) Name() string { return s.name }

func (s *shelfOfDays) Days() *Days { return &s.days }

// windowsOf reads windows, with "|" between them.
func windowsOf(t *testing.T, text string) (all []Window) {
	t.Helper()
	for one := range strings.SplitSeq(text, "|") {
		w, err := ParseWindow(one)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, w)
	}
	return all
}

// instant reads a moment of UTC.
func instant(t *testing.T, text string) time.Time {
	t.Helper()
	at, err := time.Parse("2006-01-02 15:04", text)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func TestAWindowIsAPartOfTheWeek(t *testing.T) {
	t.Parallel()
	utc := of(t, "UTC")
	for _, c := range []struct {
		windows, at string // 2026-11-22 is a Sunday
		want        bool
	}{
		{"Mon-Fri 08:00-18:00", "2026-11-23 08:00", true},
		{"Mon-Fri 08:00-18:00", "2026-11-23 07:59", false},
		{"Mon-Fri 08:00-18:00", "2026-11-23 17:59", true},
		{"Mon-Fri 08:00-18:00", "2026-11-23 18:00", false},
		{"Mon-Fri 08:00-18:00", "2026-11-28 09:00", false},
		{"Monday-Friday 8:00-18:00", "2026-11-27 08:00", true},
		{"sat,Sun", "2026-11-28 23:59", true}, {"sat,Sun", "2026-11-23 00:00", false},
		{"Fri-Mon", "2026-11-22 01:00", true}, {"Fri-Mon", "2026-11-24 01:00", false},
		{"22:00-06:00", "2026-11-25 23:00", true}, {"22:00-06:00", "2026-11-25 05:59", true},
		{"22:00-06:00", "2026-11-25 06:00", false}, {"22:00-06:00", "2026-11-25 21:59", false},
		{"Fri 22:00-06:00", "2026-11-28 05:59", true}, {"Fri 22:00-06:00", "2026-11-27 05:59", false},
		{"Sat 22:00-06:00", "2026-11-22 05:59", true},
		{"00:00-24:00", "2026-11-24 23:59", true},
		{"Mon-Fri 08:00-18:00|Sat 09:00-12:00", "2026-11-28 09:00", true},
		{"Mon-Fri 08:00-18:00|Sat 09:00-12:00", "2026-11-28 12:00", false},
		{"Mon-Fri 08:00-18:00|Sat 09:00-12:00", "2026-11-27 12:00", true},
		{"Mon-Fri 08:00-12:00|Mon-Fri 13:00-17:00", "2026-11-27 12:30", false},
	} {
		got := slices.ContainsFunc(windowsOf(t, c.windows),
			func(w Window) bool { return w.Contains(instant(t, c.at), utc) })
		if got != c.want {
			t.Errorf("%q at %s: %v", c.windows, c.at, got)
		}
	}
	for _, bad := range []string{"", "Mon-", "Mon 8-18", "25:00-26:00", "Mon 08:00-18:00 UTC", "08:00-08:00", "Moon",
		"24:00-08:00", "Mon,,Tue", "Holiday-Mon", "Mon-Holiday", "08:00", "008:00-18:00", "Mo", "-08:00-18:00"} {
		if _, err := ParseWindow(bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

// The clock on the wall of the zone decides, also on the days on which it is changed.
func TestAWindowFollowsTheClockOfItsZone(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		window, zone, at string // at is UTC
		want             bool
	}{
		{"Mon 08:00-18:00", "Europe/Vienna", "2026-11-23 07:00", true},
		{"Mon 08:00-18:00", "Europe/Vienna", "2026-11-23 06:59", false},
		{"Mon 08:00-18:00", "America/New_York", "2026-11-23 12:59", false},
		{"Mon 08:00-18:00", "America/New_York", "2026-11-23 22:59", true},
		{"Mon 08:00-18:00", "Asia/Kathmandu", "2026-11-23 02:15", true},
		{"Mon 08:00-18:00", "Asia/Kathmandu", "2026-11-23 02:14", false},
		{"Tue", "Pacific/Kiritimati", "2026-11-23 10:00", true},
		{"Sun", "Pacific/Pago_Pago", "2026-11-23 10:59", true},
		// 2026-03-29: 02:00 becomes 03:00 at 01:00 UTC
		{"Sun 01:30-02:30", "Europe/Vienna", "2026-03-29 00:59", true},
		{"Sun 01:30-02:30", "Europe/Vienna", "2026-03-29 01:00", false},
		{"Sun 02:15-02:45", "Europe/Vienna", "2026-03-29 00:59", false},
		{"Sun 02:15-02:45", "Europe/Vienna", "2026-03-29 01:00", false},
		{"Sun 02:30-06:00", "Europe/Vienna", "2026-03-29 01:00", true},
		{"Sat 22:00-02:30", "Europe/Vienna", "2026-03-29 00:59", true},
		{"Sat 22:00-02:30", "Europe/Vienna", "2026-03-29 01:00", false},
		// 2026-10-25: 03:00 becomes 02:00 at 01:00 UTC
		{"Sun 02:15-02:45", "Europe/Vienna", "2026-10-25 00:30", true},
		{"Sun 02:15-02:45", "Europe/Vienna", "2026-10-25 00:59", false},
		{"Sun 02:15-02:45", "Europe/Vienna", "2026-10-25 01:14", false},
		{"Sun 02:15-02:45", "Europe/Vienna", "2026-10-25 01:15", true},
		{"Sun 02:15-02:45", "Europe/Vienna", "2026-10-25 01:45", false},
		{"Sat 22:00-06:00", "Europe/Vienna", "2026-10-25 04:59", true},
		{"Sat 22:00-06:00", "Europe/Vienna", "2026-10-25 05:00", false},
		// 2026-09-06: midnight becomes 01:00 at 04:00 UTC
		{"Sat 23:00-00:30", "America/Santiago", "2026-09-06 03:59", true},
		{"Sat 23:00-00:30", "America/Santiago", "2026-09-06 04:00", false},
		{"Sun 00:30-02:00", "America/Santiago", "2026-09-06 04:00", true},
	} {
		w := windowsOf(t, c.window)[0]
		if got := w.Contains(instant(t, c.at), of(t, c.zone)); got != c.want {
			t.Errorf("%q in %s at %s UTC: %v", c.window, c.zone, c.at, got)
		}
	}
}

// A holiday is a day of its own kind, and no Thursday.
func TestHolidaysAreNoWeekdays(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		window, at string // 2026-12-24 is a Thursday
		want       bool
		holidays   string
	}{
		{"Mon-Fri 08:00-18:00", "2026-12-24 09:00", false, "2026-12-24"},
		{"Mon-Fri 08:00-18:00", "2026-12-24 09:00", true, "2025-12-24"},
		{"Mon-Fri 08:00-18:00", "2026-12-24 09:00", false, "12-24"},
		{"Mon-Fri 08:00-18:00", "2026-12-24 09:00", true, ""},
		{"Mon-Fri,Holiday 08:00-18:00", "2026-12-24 09:00", true, "12-24"},
		{"Sat,Sun,Holidays", "2026-12-24 09:00", true, "12-24"},
		{"Sat,Sun,Holiday", "2026-12-25 09:00", false, "12-24"},
		{"22:00-06:00", "2026-12-24 23:00", true, "12-24"},
		{"Mon-Sun", "2026-12-24 23:00", false, "12-24"},
		// the night belongs to the day on which it begins
		{"Wed 22:00-06:00", "2026-12-24 05:00", true, "12-24"},
		{"Wed 22:00-06:00", "2026-12-24 05:00", false, "12-23"},
		{"Holiday 22:00-06:00", "2026-12-25 05:00", true, "12-24"},
		{"Thu 22:00-06:00", "2026-12-25 05:00", false, "12-24"},
		{"Mon-Fri", "2028-02-29 05:00", false, "02-29"},
		{"Mon-Fri", "2026-05-01 09:00", false, "@days"},
	} {
		var holidays []string
		if c.holidays != "" {
			holidays = strings.Fields(c.holidays)
		}
		w := windowsOf(t, c.window)[0]
		if got := w.Contains(instant(t, c.at), of(t, "UTC", holidays...)); got != c.want {
			t.Errorf("%q at %s with holidays %q: %v", c.window, c.at, c.holidays, got)
		}
	}
	// the date is that of the zone
	w, vienna := windowsOf(t, "Holiday")[0], of(t, "Europe/Vienna", "12-24")
	for at, want := range map[string]bool{"2026-12-23 22:59": false, "2026-12-23 23:00": true, "2026-12-24 22:59": true,
		"2026-12-24 23:00": false} {
		if w.Contains(instant(t, at), vienna) != want {
			t.Errorf("%s UTC is in the holiday: %v", at, !want)
		}
	}
	for _, bad := range []string{"", "2026-02-29", "02-30", "2026-13-01", "26-12-24", "24.12.2026", "2026-12-24T00:00",
		"0000-12-24", "2026-1-1", "!12-24"} {
		if _, err := ParseHolidays([]string{bad}, nil); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

func TestHolidaysCanAllBeOver(t *testing.T) {
	t.Parallel()
	now := instant(t, "2026-12-24 09:00")
	for text, want := range map[string]bool{"": false, "2026-12-23": true, "2026-12-24": false, "2027-01-01": false,
		"2026-01-01 2025-01-01": true, "2026-01-01 05-01": false, "2026-01-01 @days": false, "@days": false} {
		if got := of(t, "UTC", strings.Fields(text)...).Holidays.Past(now); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}

func TestTheTimeOfAMessageIsSaid(t *testing.T) {
	t.Parallel()
	p := NewOutbound(Options{Authenticated: true, Rules: []Rule{{Name: "r", Grace: time.Minute,
		Conditions: []Condition{IfTime(windowsOf(t, "Mon-Fri 08:00-18:00|Sat"),
			*of(t, "Europe/Vienna", "@days", "2026-12-26"))}}}})
	for at, want := range map[string]string{
		"2026-12-24 09:00": "rule r: time \"Mon-Fri 08:00-18:00\" \"Sat\" Europe/Vienna: holds " +
			"(Thu 2026-12-24 10:00 CET)",
		"2026-05-01 07:00": "rule r: time \"Mon-Fri 08:00-18:00\" \"Sat\" Europe/Vienna: does not hold " +
			"(Fri 2026-05-01 09:00 CEST, holiday, days:7: 05-01)",
		"2026-12-26 09:00": "rule r: time \"Mon-Fri 08:00-18:00\" \"Sat\" Europe/Vienna: does not hold " +
			"(Sat 2026-12-26 10:00 CET, holiday 2026-12-26)",
	} {
		v := p.Decide(Facts{Known: AtEnd, Login: "a", Sender: "a@x.test", Now: instant(t, at), Explain: true})
		if v.Steps[0] != want {
			t.Errorf("%s: %q, want %q", at, v.Steps[0], want)
		}
	}
}

// Windows are compared by what lies in them, and not by how they are written.
func TestWindowsAreCompared(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		some, others string
		holidays     bool
		want         bool
	}{
		{"Mon 09:00-10:00", "Mon-Fri 08:00-18:00", false, true},
		{"Mon 09:00-19:00", "Mon-Fri 08:00-18:00", false, false},
		{"Mon 09:00-19:00", "Mon-Fri 08:00-18:00|Mon,Tue 18:00-20:00", false, true},
		{"Mon 22:00-06:00", "Mon 22:00-24:00|Tue 00:00-06:00", false, true},
		{"Mon 22:00-06:00", "Mon 22:00-24:00|Tue 00:00-06:00", true, false},
		{"Mon 22:00-06:00", "22:00-06:00", true, true},
		{"00:00-24:00", "Mon-Sun", false, true}, {"00:00-24:00", "Mon-Sun", true, false},
		{"00:00-24:00", "Mon-Sun,Holiday", true, true},
		{"Sun 22:00-06:00", "Mon 00:00-06:00", false, false},
		// a holiday behind a holiday
		{"Holiday 22:00-06:00", "Holiday 22:00-24:00|Mon-Sun 00:00-06:00", true, false},
	} {
		if got := TimeWithin(windowsOf(t, c.some), windowsOf(t, c.others), c.holidays); got != c.want {
			t.Errorf("%q is within %q: %v", c.some, c.others, got)
		}
	}
	for text, want := range map[string][2]bool{"Mon-Fri 00:00-24:00|Sat|Sun": {true, false},
		"12:00-11:59": {false, false}, "06:00-18:00|18:00-06:00": {true, true}, "Sat-Fri": {true, false}} {
		for n, holidays := range []bool{false, true} {
			if got := AllTime(windowsOf(t, text), holidays); got != want[n] {
				t.Errorf("%q is always, with holidays %v: %v", text, holidays, got)
			}
		}
	}
	if h := windowsOf(t, "Holiday 08:00-18:00"); !NoTime(h, false) || NoTime(h, true) {
		t.Error("without holidays, a window of holidays is empty; with some, it is not")
	}
}

func FuzzTime(f *testing.F) {
	for _, seed := range []string{"Mon-Fri 08:00-18:00", "22:00-06:00", "Sat,Holiday", "12-25",
		"Mon-Fri 08:00", "27 Nov 2026 18:00:00 GMT"} {
		f.Add(seed, int64(1798102800))
	}
	vienna, err := time.LoadLocation("Europe/Vienna")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string, seconds int64) {
		at := time.Unix(seconds%(1<<33), 0)
		if d, err := parseDate(text); err == nil && d.String() != text {
			t.Errorf("%q is the date %s", text, d)
		}
		if when, ok := dateTime(text); ok && when.IsZero() {
			t.Errorf("%q was read as the zero moment", text)
		}
		if m, err := ParseMoment(text); err == nil {
			if next, found := m.Next(at, &Calendar{Zone: vienna}); found && !next.After(at) {
				t.Errorf("%q after %v is %v", text, at, next)
			}
		}
		w, err := ParseWindow(text)
		if err != nil {
			return
		}
		c := &Calendar{Zone: vienna}
		if w.Contains(at, c) && NoTime([]Window{w}, false) || !w.Contains(at, c) && AllTime([]Window{w}, false) {
			t.Errorf("%q at %v", text, at)
		}
	})
}
