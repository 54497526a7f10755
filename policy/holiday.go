package policy

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"time"
)

// date is a day of the calendar; with the year 0, of every year.
type date struct {
	year  int
	month time.Month
	day   int
}

func dateOf(t time.Time) date {
	y, m, d := t.Date()
	return date{y, m, d}
}

// plus returns the date so many days later.
func (d date) plus(days int) date {
	return dateOf(time.Date(d.year, d.month, d.day+days, 12, 0, 0, 0, time.UTC))
}

func (d date) weekday() time.Weekday {
	return time.Date(d.year, d.month, d.day, 12, 0, 0, 0, time.UTC).Weekday()
}

func (d date) before(other date) bool {
	return cmp.Or(cmp.Compare(d.year, other.year), cmp.Compare(d.month, other.month), cmp.Compare(d.day, other.day)) < 0
}

// String is the date as it is written in a list.
func (d date) String() string {
	if d.year == 0 {
		return fmt.Sprintf("%02d-%02d", d.month, d.day)
	}
	return fmt.Sprintf("%04d-%02d-%02d", d.year, d.month, d.day)
}

var errDate = errors.New(`invalid date: use a value like "2026-12-25", or "12-25" for every year`)

func parseDate(text string) (date, error) {
	everyYear := len(text) == len("12-25")
	if everyYear {
		text = "2000-" + text // a leap year
	}
	t, err := time.Parse(time.DateOnly, text)
	if err != nil || t.Year() == 0 {
		return date{}, errDate
	}
	d := dateOf(t)
	if everyYear {
		d.year = 0
	}
	return d, nil
}

// Days are dates, each on a line of its own. They are not changed any more once a DayList has them.
type Days struct{ lines map[date]int }

// Add adds the date that begins a line, "2026-12-25" or "12-25" for every year; behind a blank, anything can follow.
func (d *Days) Add(line int, text string) error {
	text, _, _ = strings.Cut(strings.ReplaceAll(text, "\t", " "), " ")
	day, err := parseDate(text)
	if err != nil {
		return err
	}
	if d.lines == nil {
		d.lines = map[date]int{}
	}
	if _, known := d.lines[day]; !known {
		d.lines[day] = line
	}
	return nil
}

// find returns the entry for a date.
func (d *Days) find(day date) (entry date, found bool) {
	if _, found = d.lines[day]; found {
		return day, true
	}
	day.year = 0
	_, found = d.lines[day]
	return day, found
}

// past says whether all of the dates are over, and how many there are.
func (d *Days) past(now date) (all int, past bool) {
	for day := range d.lines {
		if day.year == 0 || !day.before(now) {
			return len(d.lines), false
		}
	}
	return len(d.lines), true
}

// DayList is dates that are kept elsewhere, such as in a file, and can change at any moment.
type DayList interface {
	Name() string // as it is shown to people
	Days() *Days  // of this moment; never nil
}

// Holidays are dates, and lists of dates.
type Holidays struct {
	days  Days
	lists []DayList
}

// ParseHolidays reads dates, and opens the lists that are named as "@NAME".
func ParseHolidays(texts []string, open func(name string) (DayList, error)) (h Holidays, err error) {
	for _, text := range texts {
		if name, ok := strings.CutPrefix(text, "@"); ok {
			l, err := open(name)
			if err != nil {
				return h, err
			}
			h.lists = append(h.lists, l)
			continue
		}
		if _, err := parseDate(text); err != nil { // no words behind it
			return h, fmt.Errorf("%q: %w", text, err)
		}
		if err := h.days.Add(0, text); err != nil {
			return h, err
		}
	}
	return h, nil
}

// find returns the entry that makes a date a holiday.
func (h *Holidays) find(day date) (by Mention, found bool) {
	if entry, found := h.days.find(day); found {
		return Mention{Pattern: entry.String()}, true
	}
	for _, l := range h.lists {
		days := l.Days()
		if entry, found := days.find(day); found {
			return Mention{List: l.Name(), Line: days.lines[entry], Pattern: entry.String()}, true
		}
	}
	return Mention{}, false
}

// Past says whether there are holidays, and none is to come.
func (h *Holidays) Past(now time.Time) bool {
	all, past := h.days.past(dateOf(now))
	for _, l := range h.lists {
		more, over := l.Days().past(dateOf(now))
		all, past = all+more, past && over
	}
	return all > 0 && past
}
