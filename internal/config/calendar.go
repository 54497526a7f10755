package config

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // 0.4 MB: a container made from nothing has no zoneinfo. What the system has comes first

	"github.com/recall-milter/recall-milter/internal/lists"
	"github.com/recall-milter/recall-milter/policy"
)

// Dates are holidays: dates, and the names of files of dates, "@NAME".
type Dates []string

// inherit gives the rules what [hold] says for all of them.
func (h *Hold) inherit() {
	for i := range h.Rules {
		r := &h.Rules[i]
		r.Zone = cmp.Or(r.Zone, h.Zone)
		if r.Holidays == nil {
			r.Holidays = h.Holidays
		}
	}
}

// Clock returns a moment as a clock in hold.zone shows it.
func (c *Config) Clock(t time.Time) (time.Time, error) {
	zone, err := zoneOf(c.Hold.Zone)
	if zone != nil {
		t = t.In(zone)
	}
	return t, err
}

// until is the moment until which mail of the rule waits; nil: it has none.
func (r *Rule) until() *policy.Moment {
	if r.Grace == nil {
		return nil
	}
	return r.Grace.Until
}

// Calendar is that of a rule.
func (c *Config) Calendar(r *Rule) (policy.Calendar, error) {
	holidays, err := c.Lists.Holidays(r.Holidays)
	if err != nil {
		return policy.Calendar{}, err
	}
	zone, err := zoneOf(r.Zone)
	return policy.Calendar{Zone: zone, Holidays: holidays}, err
}

// sameCalendar says whether the days of two rules are the same.
func (r *Rule) sameCalendar(other *Rule) bool {
	return r.Zone == other.Zone && slices.Equal(r.Holidays, other.Holidays)
}

// zoneOf returns the zone of a name; nil: the gateway's own.
func zoneOf(name string) (*time.Location, error) {
	if name == "" {
		return nil, nil
	}
	zone, err := time.LoadLocation(name)
	if err != nil || name == "Local" {
		return nil, fmt.Errorf("invalid zone %q: use a name of the time zone database, like \"Europe/Vienna\" or "+
			"\"UTC\"", name)
	}
	return zone, nil
}

// checkCalendar takes a zone and holidays, of [hold] or of a rule.
func (c *Config) checkCalendar(s *source, path, zone string, holidays Dates) {
	_, err := zoneOf(zone)
	s.is(join(path, "zone"), err)
	s.each(join(path, "holidays"), holidays, c.checkDate)
}

// checkTimes takes the windows of a rule and its own calendar, which is for them.
func (c *Config) checkTimes(s *source, path string, r *Rule) {
	s.demand(path+".time", r.Time == nil || len(r.Time) > 0, "must not be empty: leave it out for all times")
	for _, key := range []string{"zone", "holidays"} {
		_, own := s.places[join(path, key)]
		s.demand(join(path, key), !own || len(r.Time) > 0 || r.until() != nil,
			"says nothing without time, or a grace until a moment")
	}
	if !r.sameCalendar(&Rule{Zone: c.Hold.Zone, Holidays: c.Hold.Holidays}) {
		c.checkCalendar(s, path, r.Zone, r.Holidays)
	}
}

// checkDate takes a date, and the name of a list whose file is there. What it says is found when it is read.
func (c *Config) checkDate(v string) error {
	if name, ok := strings.CutPrefix(v, "@"); ok && !lists.IsSocketmap(name) {
		if _, err := os.Stat(c.Lists.Path(name)); err != nil || name == "" {
			return fmt.Errorf("the list %q is not there: %q is the file with one date a line", v, c.Lists.Path(name))
		}
		return nil
	}
	_, err := c.Lists.Holidays([]string{v})
	return err
}
