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
	if !c.Outbound.Authenticated && len(c.Outbound.Networks) == 0 && len(c.Outbound.DaemonNames) == 0 {
		r.bad("config.outbound", "correct the table [outbound]", "nothing is outbound, so nothing is held")
	}
}
