package policy

import "time"

// Calendar says which moments and days a rule means: in which zone, and which dates are holidays there. A holiday is a
// day of its own kind: no Monday, also when its date is one.
type Calendar struct {
	Zone     *time.Location // nil: the gateway's own
	Holidays Holidays
}

// holiday is the kind of day behind those of package time.
const holiday = 7

// days are kinds of days: the weekdays by their numbers, and holiday.
type days [holiday + 1]bool

var everyDay = days{true, true, true, true, true, true, true, true}

// local returns a moment as the clock on the wall shows it.
func (c *Calendar) local(t time.Time) time.Time {
	if c.Zone == nil {
		return t.Local()
	}
	return t.In(c.Zone)
}

// kind says what a date is: a weekday or a holiday.
func (c *Calendar) kind(d date) int {
	if _, found := c.Holidays.find(d); found {
		return holiday
	}
	return int(d.weekday())
}
