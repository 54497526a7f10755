package policy

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Window is a part of the week, "Mon-Fri 08:00-18:00". Days or hours alone are allowed; hours alone are those of every
// day, of holidays as well. Hours that cross midnight belong to the day on which they begin.
//
// The clock on the wall decides: what it skips when summer time begins is in no window, and an hour that it shows twice
// is in the window twice.
type Window struct {
	text     string
	days     days
	from, to int // minutes of the day; to is exclusive, and below from when midnight is crossed
}

const dayMinutes = 24 * 60

// ParseWindow reads a window.
func ParseWindow(text string) (Window, error) {
	w := Window{text: text, days: everyDay, to: dayMinutes}
	words := strings.Fields(text)
	ok := len(words) == 1 || len(words) == 2
	if ok && !strings.Contains(words[0], ":") {
		w.days, ok = parseDays(words[0])
		words = words[1:]
	}
	if ok && len(words) == 1 {
		ok = w.parseHours(words[0])
		words = nil
	}
	if !ok || len(words) > 0 {
		return Window{}, fmt.Errorf("invalid time %q: use a value like \"Mon-Fri 08:00-18:00\", \"Sat,Sun,Holiday\" or "+
			"\"22:00-06:00\"", text)
	}
	return w, nil
}

// parseDays reads "Mon-Fri,Sun" or "Holiday"; days can be written in full.
func parseDays(text string) (all days, ok bool) {
	for _, part := range strings.Split(strings.ToLower(text), ",") {
		if part == "holiday" || part == "holidays" {
			all[holiday] = true
			continue
		}
		first, last, isRange := strings.Cut(part, "-")
		if !isRange {
			last = first
		}
		from, ok1 := weekday(first)
		to, ok2 := weekday(last)
		if !ok1 || !ok2 {
			return all, false
		}
		for d := from; ; d = (d + 1) % 7 {
			all[d] = true
			if d == to {
				break
			}
		}
	}
	return all, true
}

// weekday reads "mon" or "monday".
func weekday(text string) (int, bool) {
	for d := range 7 {
		if name := strings.ToLower(time.Weekday(d).String()); text == name || text == name[:3] {
			return d, true
		}
	}
	return 0, false
}

func (w *Window) parseHours(text string) bool {
	from, to, ok := strings.Cut(text, "-")
	var ok1, ok2 bool
	w.from, ok1 = minutes(from)
	w.to, ok2 = minutes(to)
	return ok && ok1 && ok2 && w.from != w.to && w.from < dayMinutes
}

func minutes(text string) (int, bool) {
	hour, minute, ok := strings.Cut(text, ":")
	h, err1 := strconv.ParseUint(hour, 10, 8)
	m, err2 := strconv.ParseUint(minute, 10, 8)
	n := int(h*60 + m)
	return n, ok && err1 == nil && err2 == nil && len(hour) <= 2 && len(minute) == 2 && m < 60 && n <= dayMinutes
}

// Contains says whether a moment lies in the window.
func (w *Window) Contains(t time.Time, c *Calendar) bool {
	local := c.local(t)
	date := dateOf(local)
	return w.on(c.kind(date.plus(-1)), c.kind(date), local.Hour()*60+local.Minute())
}

// on says whether a minute of a day lies in the window, by what kind the day is, and the day before it.
func (w *Window) on(before, today, minute int) bool {
	if w.from < w.to {
		return w.days[today] && w.from <= minute && minute < w.to
	}
	return w.days[today] && w.from <= minute || w.days[before] && minute < w.to
}

// String is the window as it was written.
func (w *Window) String() string { return w.text }

// IfTime asks whether the message came in one of some windows.
func IfTime(all []Window, c Calendar) Condition {
	words := "time"
	for n := range all {
		words += " " + strconv.Quote(all[n].text)
	}
	if c.Zone != nil {
		words += " " + c.Zone.String()
	}
	return Condition{words, AtMail, false, func(_ *Outbound, f *Facts) (answer, Mention) {
		local := c.local(f.Now)
		by, isHoliday := c.Holidays.find(dateOf(local))
		by.Value = Clock(local)
		if isHoliday {
			by.Value += ", holiday"
		}
		if isHoliday && by.List == "" {
			by.Value += " " + by.Pattern
		}
		for n := range all {
			if all[n].Contains(f.Now, &c) {
				return yes, by
			}
		}
		return no, by
	}}
}

// Clock writes a moment in its zone for people.
func Clock(t time.Time) string { return t.Format("Mon 2006-01-02 15:04 MST") }
