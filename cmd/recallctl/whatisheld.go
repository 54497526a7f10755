package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/recall-milter/recall-milter/internal/config"
	"github.com/recall-milter/recall-milter/policy"
)

// sayHeld says after a setup which mail is held from now on, and which is not, so that nobody finds out by surprise
// that mail of cron or a one-time password passes unheld, or waits.
func (c *ctl) sayHeld() {
	for _, line := range heldLines(c.config) {
		c.say("%s", line)
	}
	c.say("what a message of yours meets: %s", c.command("test FILE --sender ADDRESS --recipient ADDRESS"))
}

// heldLines describes what a config holds, in the order in which rules are tried.
func heldLines(c *config.Config) []string {
	lines := make([]string, 0, len(c.Hold.Rules)+3)
	for i := range c.Hold.Rules {
		r := &c.Hold.Rules[i]
		fate := "not held"
		switch {
		case r.Grace == nil:
			fate = "held for " + policy.Short(time.Duration(c.Hold.Grace))
		case r.Grace.Map != "":
			fate = "held for as long as @" + r.Grace.Map + " says"
		case r.Grace.Until != nil:
			fate = "held until " + strings.TrimSpace(r.Grace.Until.String()+" "+r.Zone)
		case r.Grace.Holds():
			fate = "held for " + policy.Short(time.Duration(r.Grace.Duration))
		}
		lines = append(lines, fmt.Sprintf("%s: what the rule %s matches (%s)", fate, r.Name, r.Describe()))
	}
	if origins := origins(&c.Outbound); origins == "" || c.Hold.Grace == 0 {
		lines = append(lines, "not held: all other mail")
	} else {
		lines = append(lines,
			fmt.Sprintf("held for %s: all other mail that is outbound (%s)", policy.Short(time.Duration(c.Hold.Grace)), origins))
	}
	return append(lines, "not held: mail that comes in, and bounces (the empty sender)")
}

// origins says which mail is outbound; "" when none is.
func origins(o *config.Outbound) string {
	var all []string
	if o.Authenticated {
		all = append(all, "with a login")
	}
	if len(o.Networks) > 0 {
		all = append(all, "from "+config.Some(o.Networks))
	}
	if len(o.DaemonNames) > 0 {
		all = append(all, "by the service "+config.Some(o.DaemonNames))
	}
	return strings.Join(all, ", or ")
}
