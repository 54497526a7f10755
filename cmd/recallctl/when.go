package main

import (
	"time"

	"github.com/recall-milter/recall-milter/internal/criteria"
)

// clock is a moment in the zone of the site's rules.
func (c *ctl) clock(t time.Time) time.Time {
	if local, err := c.config.Clock(t.Local()); err == nil {
		return local
	}
	return t.Local()
}

// moment reads the value of a flag that is a moment.
func moment(flag, text string, now time.Time) (time.Time, error) {
	at, err := criteria.Moment(text, now)
	if err != nil {
		return at, usage("invalid --%s %q: %v", flag, text, err)
	}
	return at, nil
}
