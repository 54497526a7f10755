package policy

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Window is a part of the week, "Mon-Fri 08:00-18:00", in the gateway's local time. Days or hours alone are allowed;
// hours that cross midnight belong to the day on which they begin.
type Window struct {
	text     string
	days     [7]bool
	from, to int // minutes of the day; to is exclusive, and below from when midnight is crossed
}

var weekdays = map[string]int{"sun": 0, "mon": 1, "tue": 2, "wed": 3, "thu": 4, "fri": 5, "sat": 6}

// ParseWindow reads a window.
func ParseWindow(text string) (Window, error) {
	w := Window{text: text, days: [7]bool{true, true, true, true, true, true, true}, to: 24 * 60}
	words := strings.Fields(text)
	ok := len(words) == 1 || len(words) == 2
	if ok && !strings.Contains(words[0], ":") {
		ok = w.parseDays(words[0])
		words = words[1:]
	}
	if ok && len(words) == 1 {
		ok = w.parseHours(words[0])
		words = nil
	}
	if !ok || len(words) > 0 {
		return Window{}, fmt.Errorf("invalid time %q: use a value like \"Mon-Fri 08:00-18:00\", \"Sat,Sun\" or "+
			"\"22:00-06:00\"", text)
	}
	return w, nil
}

func (w *Window) parseDays(text string) bool {
	w.days = [7]bool{}
	for _, part := range strings.Split(strings.ToLower(text), ",") {
		first, last, isRange := strings.Cut(part, "-")
		if !isRange {
			last = first
		}
		from, ok1 := weekdays[first]
		to, ok2 := weekdays[last]
		if !ok1 || !ok2 {
			return false
		}
		for d := from; ; d = (d + 1) % 7 {
			w.days[d] = true
			if d == to {
				break
			}
		}
	}
	return true
}

func (w *Window) parseHours(text string) bool {
	from, to, ok := strings.Cut(text, "-")
	var ok1, ok2 bool
	w.from, ok1 = minutes(from)
	w.to, ok2 = minutes(to)
	return ok && ok1 && ok2 && w.from != w.to && w.from < 24*60
}

func minutes(text string) (int, bool) {
	hour, minute, ok := strings.Cut(text, ":")
	h, err1 := strconv.ParseUint(hour, 10, 8)
	m, err2 := strconv.ParseUint(minute, 10, 8)
	n := int(h*60 + m)
	return n, ok && err1 == nil && err2 == nil && len(minute) == 2 && m < 60 && n <= 24*60
}

// Contains says whether the moment lies in the window.
func (w Window) Contains(t time.Time) bool {
	minute, today := t.Hour()*60+t.Minute(), int(t.Weekday())
	if w.from < w.to {
		return w.days[today] && minute >= w.from && minute < w.to
	}
	return w.days[today] && minute >= w.from || w.days[(today+6)%7] && minute < w.to
}

// Always says whether the window has no end.
func (w Window) Always() bool {
	return w.days == [7]bool{true, true, true, true, true, true, true} && w.from == 0 && w.to == 24*60
}

// String is the window as it was written.
func (w Window) String() string { return w.text }
