package policy

import (
	"fmt"
	"strings"
	"time"
)

// Moment is a moment of the week until which mail waits: "Mon-Fri 08:00", or "08:00" for every day.
type Moment struct {
	text   string
	days   days
	minute int // of the day; 24:00 is the last
}

// ParseMoment reads days and a time of the day, or a time alone.
func ParseMoment(text string) (Moment, error) {
	m := Moment{text: text, days: everyDay}
	words := strings.Fields(text)
	ok := len(words) == 1 || len(words) == 2
	if len(words) == 2 {
		m.days, ok = parseDays(words[0])
	}
	if ok {
		m.minute, ok = minutes(words[len(words)-1])
	}
	if !ok {
		return Moment{}, fmt.Errorf("invalid moment %q: use a value like \"Mon 08:00\", \"Mon-Fri 08:00\" or \"08:00\"", text)
	}
	return m, nil
}

// String is the moment as it was written.
func (m *Moment) String() string { return m.text }

// NamesDays says whether the moment is on some kinds of days only.
func (m *Moment) NamesDays() bool { return m.days != everyDay }

// daysAhead is how far the next moment can be: where all days for so long are holidays, there is none.
const daysAhead = 366

// Next returns the first such moment behind t; false: there is none within a year. A time that the clock skips is the
// moment at which it skips it, and one that it shows twice is there twice.
func (m *Moment) Next(t time.Time, c *Calendar) (next time.Time, found bool) {
	first := dateOf(c.local(t)).plus(-1) // its 24:00 may be to come
	for n := range daysAhead + 1 {
		day := first.plus(n)
		if !m.days[c.kind(day)] {
			continue
		}
		for _, at := range shown(day, m.minute, c.local(t).Location()) {
			if at.After(t) {
				return at, true
			}
		}
	}
	return time.Time{}, false
}

// skips names the days between two moments on which mail would leave if they were not holidays.
func (m *Moment) skips(from, to time.Time, c *Calendar) (days []string) {
	last := dateOf(c.local(to))
	for day := dateOf(c.local(from)); day.before(last); day = day.plus(1) {
		by, found := c.Holidays.find(day)
		if !found || !m.days[day.weekday()] || m.days[holiday] {
			continue
		}
		at := time.Date(day.year, day.month, day.day, 12, 0, 0, 0, time.UTC).Format("Mon " + time.DateOnly)
		if by.List == "" {
			days = append(days, at+" is the holiday "+by.Pattern)
		} else {
			days = append(days, at+" is a holiday ("+by.String()+")")
		}
	}
	return days
}

// shown returns when the clock of a zone shows a minute of a day, in order: once or twice, or when it skips the minute.
func shown(day date, minute int, zone *time.Location) []time.Time {
	wall := time.Date(day.year, day.month, day.day, 0, minute, 0, 0, time.UTC)
	var all []time.Time
	for _, near := range []time.Duration{-dayLength, dayLength} {
		_, offset := wall.Add(near).In(zone).Zone()
		at := wall.Add(-time.Duration(offset) * time.Second).In(zone)
		if wallOf(at).Equal(wall) && (len(all) == 0 || at.After(all[0])) {
			all = append(all, at)
		}
	}
	if len(all) == 0 {
		_, offset := wall.Add(-dayLength).In(zone).Zone()
		after := wall.Add(-time.Duration(offset) * time.Second).In(zone)
		start, _ := after.ZoneBounds()
		all = append(all, start)
	}
	return all
}

const dayLength = 24 * time.Hour

// wallOf is what the clock shows at a moment, as if it were UTC.
func wallOf(t time.Time) time.Time {
	y, m, d := t.Date()
	return time.Date(y, m, d, t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), time.UTC)
}
