package policy

import (
	"strings"
	"testing"
	"time"
)

// The next moment is the next at which the clock of the zone shows it; holidays are no weekdays.
func TestMailWaitsUntilTheNextMoment(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		moment, zone, at string // at and want are UTC
		want             string // "": never
		holidays         string
	}{
		{"Mon 08:00", "Europe/Vienna", "2026-11-27 17:00", "2026-11-30 07:00", ""}, // a Friday
		{"Monday 8:00", "Europe/Vienna", "2026-11-30 06:59", "2026-11-30 07:00", ""},
		{"Mon 08:00", "Europe/Vienna", "2026-11-30 07:00", "2026-12-07 07:00", ""},
		{"08:00", "Europe/Vienna", "2026-11-30 07:00", "2026-12-01 07:00", ""},
		{"Mon-Fri 08:00", "UTC", "2026-12-23 17:00", "2026-12-28 08:00", "12-24 12-25"},
		{"Mon-Fri 08:00", "UTC", "2026-12-23 17:00", "2026-12-24 08:00", ""},
		{"08:00", "UTC", "2026-12-23 17:00", "2026-12-24 08:00", "12-24 12-25"},
		{"Holiday 08:00", "UTC", "2026-12-23 17:00", "2026-12-25 08:00", "12-25"},
		{"Holiday 08:00", "UTC", "2026-12-23 17:00", "", ""},
		{"Fri 24:00", "UTC", "2026-11-27 17:00", "2026-11-28 00:00", ""},
		{"Fri 24:00", "UTC", "2026-11-28 00:00", "2026-12-05 00:00", ""},
		{"00:00", "Asia/Tokyo", "2026-11-27 14:59", "2026-11-27 15:00", ""},
		// over a change of the clock: 2026-10-25 03:00 becomes 02:00, 2026-03-29 02:00 becomes 03:00
		{"Mon 08:00", "Europe/Vienna", "2026-10-24 12:00", "2026-10-26 07:00", ""},
		{"Mon 08:00", "Europe/Vienna", "2026-03-28 12:00", "2026-03-30 06:00", ""},
		{"Sun 02:30", "Europe/Vienna", "2026-03-28 12:00", "2026-03-29 01:00", ""},
		{"Sun 02:30", "Europe/Vienna", "2026-03-29 01:00", "2026-04-05 00:30", ""},
		{"02:30", "Europe/Vienna", "2026-10-24 12:00", "2026-10-25 00:30", ""},
		{"02:30", "Europe/Vienna", "2026-10-25 00:30", "2026-10-25 01:30", ""},
		{"02:30", "Europe/Vienna", "2026-10-25 01:30", "2026-10-26 01:30", ""},
		{"Sun 00:00", "America/Santiago", "2026-09-05 12:00", "2026-09-06 04:00", ""}, // it skips midnight
		{"Sat 24:00", "America/Santiago", "2026-09-05 12:00", "2026-09-06 04:00", ""},
		{"Sat 24:00", "America/Havana", "2026-11-01 04:30", "2026-11-01 05:00", ""},      // it shows midnight twice
		{"Sun 02:15", "Australia/Lord_Howe", "2026-10-03 12:00", "2026-10-03 15:30", ""}, // by half an hour
	} {
		m, err := ParseMoment(c.moment)
		if err != nil {
			t.Fatal(err)
		}
		next, found := m.Next(instant(t, c.at), of(t, c.zone, strings.Fields(c.holidays)...))
		if found != (c.want != "") || found && !next.Equal(instant(t, c.want)) {
			t.Errorf("%q in %s after %s: %v, want %s", c.moment, c.zone, c.at, next.UTC(), c.want)
		}
	}
	for _, bad := range []string{"", "Mon", "08:00 Mon", "Mon 25:00", "Mon 08:00 CET", "Mon-08:00", "Mon 08:60",
		"Mon -8:00"} {
		if _, err := ParseMoment(bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

// With a grace until a moment, the moment is the verdict's, and the grace what is left until then.
// A message takes its time on its way in: its moment stays, and may be over then.
func TestWhatIsLeftUntilAMoment(t *testing.T) {
	t.Parallel()
	now := instant(t, "2026-11-27 17:00")
	for _, c := range []struct {
		v    Verdict
		want time.Duration
	}{
		{Verdict{Grace: time.Hour}, time.Hour},
		{Verdict{Grace: time.Hour, Until: now.Add(time.Minute)}, time.Minute},
		{Verdict{Grace: time.Hour, Until: now.Add(-time.Minute)}, 0},
	} {
		if got := c.v.Remaining(now); got != c.want {
			t.Errorf("%+v: %v, want %v", c.v, got, c.want)
		}
	}
}

func TestARuleHoldsUntilAMoment(t *testing.T) {
	t.Parallel()
	moment := func(text string) *Moment {
		m, err := ParseMoment(text)
		if err != nil {
			t.Fatal(err)
		}
		return &m
	}
	decide := func(r Rule, f Facts) Verdict {
		r.Name = "r"
		p := NewOutbound(Options{Authenticated: true, Grace: 2 * time.Minute, MaxGrace: 24 * time.Hour, Wish: WishAny,
			RequestHeader: "X-Hold-For", ParseDuration: time.ParseDuration, Rules: []Rule{r}})
		f.Known, f.Login, f.Sender = AtEnd, "a", "a@x.test"
		return p.Decide(f)
	}
	friday := Facts{Now: instant(t, "2026-11-27 17:00")}
	v := decide(Rule{Until: moment("Mon 08:00"), Calendar: *of(t, "Europe/Vienna")}, friday)
	if !v.Hold || v.Grace != 62*time.Hour || !v.Until.Equal(instant(t, "2026-11-30 07:00")) ||
		v.Reason.Text != "rule r: grace until Mon 2026-11-30 08:00 CET" {
		t.Errorf("%+v", v)
	}
	v = decide(Rule{Until: moment("Holiday 08:00"), Calendar: *of(t, "Europe/Vienna")}, friday)
	if !v.Hold || v.Grace != 24*time.Hour || !v.Until.IsZero() ||
		!strings.Contains(v.Reason.Text, `because no "Holiday 08:00" comes within a year`) {
		t.Errorf("without such a moment: %+v", v)
	}
	friday.Header = []Field{{"X-Hold-For", " 1m"}}
	v = decide(Rule{Until: moment("Mon 08:00"), Calendar: *of(t, "Europe/Vienna")}, friday)
	if v.Grace != time.Minute || !v.Until.IsZero() {
		t.Errorf("a wish that takes its place: %+v", v)
	}
	v = decide(Rule{Until: moment("Mon 08:00"), Calendar: *of(t, "Europe/Vienna"), Wish: WishLonger}, friday)
	if v.Grace != 62*time.Hour || !v.Until.Equal(instant(t, "2026-11-30 07:00")) {
		t.Errorf("a wish that is shorter: %+v", v)
	}
}
