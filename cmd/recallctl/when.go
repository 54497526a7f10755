package main

import (
	"time"

	"github.com/recall-milter/recall-milter/internal/criteria"
	"github.com/recall-milter/recall-milter/internal/wiring"
)

// clock is a moment in the zone of the site's rules.
func (c *ctl) clock(t time.Time) time.Time {
	return wiring.Clock(c.config)(t)
}

// moment reads the value of a flag that is a moment.
func moment(flag, text string, now time.Time) (time.Time, error) {
	at, err := criteria.Moment(text, now)
	if err != nil {
		return at, usage("invalid --%s %q: %v", flag, text, err)
	}
	return at, nil
}
