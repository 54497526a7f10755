package config

import (
	"strconv"
	"time"

	"github.com/recall-milter/recall-milter/policy"
)

// doubtTimes finds holidays that change nothing, or are all over. A file that can't be read is somebody else's fault to
// find.
func (c *Config) doubtTimes(add func(check string, unheld bool, path, correct, format string, args ...any)) {
	now := time.Now()
	past := func(holidays Dates) bool {
		h, err := c.Lists.Holidays(holidays)
		return err == nil && h.Past(now)
	}
	const correct = "the holidays of the next years"
	if past(c.Hold.Holidays) {
		add("config.rule", false, "hold.holidays", correct, "all holidays of hold.holidays are over")
	}
	for i := range c.Hold.Rules {
		r, path := &c.Hold.Rules[i], "hold.rule."+strconv.Itoa(i)
		if len(r.Holidays) == 0 || r.sameCalendar(&Rule{Zone: r.Zone, Holidays: c.Hold.Holidays}) {
			continue // those of [hold]
		}
		switch {
		case !r.namesDays():
			add("config.rule", false, path+".holidays", `days, as in "Mon-Sun 08:00-18:00"`,
				"the holidays of the rule %q change nothing: hours without days are those of every day", r.Name)
		case past(r.Holidays):
			add("config.rule", false, path+".holidays", correct, "all holidays of the rule %q are over", r.Name)
		}
	}
}

// namesDays says whether a window of the rule, or the moment until which it holds, is for some days only.
func (r *Rule) namesDays() bool {
	for _, w := range r.Time {
		if policy.NamesDays(w.Window) {
			return true
		}
	}
	until := r.until()
	return until != nil && until.NamesDays()
}
