package doctor

import (
	"context"
	"slices"

	"github.com/recall-milter/recall-milter/internal/config"
)

// settings looks at what of our own config lets mail go unheld. Somebody may want that, so it is no error.
func settings(_ context.Context, s *Site, r report) {
	c := s.Config
	if c.OnStoreFailure == "deliver" {
		r.warn("config.deliver", `on_store_failure = "tempfail"`, "on_store_failure is deliver: while Redis is away, all mail goes out unheld")
	}
	holds := func(rule config.Rule) bool { return rule.Grace != nil && *rule.Grace > 0 }
	if c.Hold.Grace == 0 && !slices.ContainsFunc(c.Hold.Rules, holds) {
		r.bad("config.grace", `hold.grace = "2m"`, "hold.grace is 0 and no rule has another: nothing is held")
	}
	for _, rule := range c.Hold.Rules {
		if unconditional(rule) && !holds(rule) && rule.Grace != nil {
			r.bad("config.rule", "give the rule a condition", "the rule %q has no condition and grace 0: neither it nor any rule behind it holds mail", rule.Name)
		}
	}
	if !c.Outbound.Authenticated && len(c.Outbound.Networks) == 0 && len(c.Outbound.DaemonNames) == 0 {
		r.bad("config.outbound", "correct the table [outbound]", "nothing is outbound, so nothing is held")
	}
}

// unconditional says whether a rule matches all mail.
func unconditional(r config.Rule) bool {
	return len(r.Sender)+len(r.Recipient)+len(r.Login)+len(r.Client)+len(r.DaemonName)+len(r.Header) == 0 &&
		r.Size == config.SizeBound{} && r.Time == ""
}
