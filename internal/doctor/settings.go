package doctor

import "context"

// settings looks at what of our own config lets mail go unheld. Somebody may want that, so it is not an error.
func settings(_ context.Context, s *Site, r report) {
	c := s.Config
	if c.OnStoreFailure == "deliver" {
		r.warn("config.deliver", inConfig(s, `on_store_failure = "tempfail"`),
			"on_store_failure is deliver: while Redis is away, all mail goes out unheld")
	}
	for _, name := range c.ListNames() {
		if err := c.Lists.Read([]string{name}); err != nil {
			r.bad("config.list", byHand+"only you know what belongs in "+c.Lists.Path(name)+", a pattern a line: correct it",
				"%s: the daemon that runs keeps the entries that it had, and one that starts refuses the config", words(err))
		}
	}
	for _, rule := range c.Hold.Rules {
		if _, err := c.Lists.Holidays(rule.Holidays); err != nil {
			r.bad("config.list", byHand+"only you know the holidays: correct the file, a date a line",
				"%s: the daemon that runs keeps the dates that it had, and one that starts refuses the config", words(err))
		}
		if _, err := c.Graces(&rule); err != nil {
			r.bad("config.list", byHand+"only you know what belongs in "+c.Lists.Path(rule.Grace.Map)+": correct it",
				"%s: the daemon that runs keeps the entries that it had, and one that starts refuses the config", words(err))
		}
	}
	for _, d := range c.Doubts {
		say := r.warn
		if d.Unheld {
			say = r.bad
		}
		say(d.Check, inConfig(s, d.Correct), "%s: %s", d.Place(), d.Text)
	}
}
