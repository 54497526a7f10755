package config

import "time"

// doubtMailboxes finds what is set in [inbound.mailbox] and never does anything.
func (c *Config) doubtMailboxes(add func(check string, unheld bool, path, correct, format string, args ...any)) {
	const table, check = "inbound.mailbox", "config.mailbox"
	m := c.Inbound.Mailbox
	if !m.Any() {
		if m.Notice != "never" || m.MaxAge > 0 {
			add(check, false, table, "a table [[inbound.mailbox.server]]", "no mailbox can be reached, so notice and "+
				"max_age do nothing")
		}
		return
	}
	if c.Inbound.Remember == 0 {
		add(check, false, "inbound.remember", `remember = "7d" in [inbound]`, "inbound.remember is 0, so nothing is known "+
			"of mail that comes in: recalls from outside and claw backs find nothing")
	}
	known := max(c.Inbound.Remember, c.RecordRetention) // longer, no message can be recalled or clawed back
	for n, s := range m.MailServers() {
		at := m.Path(n)
		own := n < len(m.Servers) && (m.Servers[n].Notice != "" || m.Servers[n].MaxAge != nil)
		switch {
		case s.Backend == "none" && own:
			add(check, false, at, "a backend", "nobody's mailbox is reached there (backend = \"none\"), so notice and max_age "+
				"do nothing")
		case s.Backend == "none":
		case *s.MaxAge > known:
			add(check, false, at, "a shorter max_age", "its max_age (%s) leaves nothing alone: what is older than %s "+
				"(inbound.remember, record_retention) is not found at all", time.Duration(*s.MaxAge), time.Duration(known))
		case m.DryRun && s.Notice != "never":
			add(check, false, at, "dry_run = false in [inbound.mailbox]", "dry_run takes nothing out of mailboxes, so its "+
				"notice tells nobody")
		}
	}
}
