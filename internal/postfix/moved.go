package postfix

import (
	"slices"
	"strings"
)

// Moved returns the changes by which a milter that sees mail before ours sees it at the re-injection ports instead:
// what it does to envelopes is then done to the message that leaves. Services that hold no mail keep it.
func (c *Config) Moved(address string, n Needs) []Change {
	p := &plan{c: c, needs: n}
	var entry string // with the settings that the site gave it
	taken := func(list string) (rest string, ok bool) {
		var kept []string
		for _, e := range entries(list) {
			if slices.ContainsFunc(Milters(e), func(m Milter) bool { return m.Address == address }) {
				entry, ok = e, true
			} else {
				kept = append(kept, e)
			}
		}
		return strings.Join(kept, ", "), ok
	}
	for _, list := range milterLists {
		if rest, ok := taken(c.Get(list)); ok && (list == "smtpd_milters" || c.raw[list] != "$smtpd_milters") {
			p.main(list, rest)
		}
	}
	holding := c.Holding(n)
	for _, s := range c.Services {
		for _, list := range milterLists {
			holds := s.has(s.Get(list), n.Milter) || slices.Contains(holding, s)
			if rest, ok := taken(s.Get(list)); ok && s.Overrides(list) && holds && !n.IsPort(s) {
				p.service(s, list, rest)
			}
		}
	}
	for _, port := range n.Ports() {
		if s := c.At(port.At); s != nil && entry != "" {
			p.asks(s, entry, address, c.planned(port, n, s, "receive_override_options"))
		}
	}
	return p.changes
}

// planned is what a setting of a re-injection port will be after a setup, which may come before or after other changes.
func (c *Config) planned(port Port, n Needs, s *Service, setting string) string {
	for _, change := range c.PortChanges(port, n) {
		if change.Name == s.String()+"/"+setting {
			return change.To
		}
	}
	return s.Get(setting)
}

// asks lets a re-injection port ask a milter, behind those that it asks already. overrides are what a setup gives it.
func (p *plan) asks(port *Service, entry, address, overrides string) {
	var all []string
	if port.Overrides("smtpd_milters") {
		all = entries(port.Get("smtpd_milters"))
	}
	if !slices.ContainsFunc(Milters(strings.Join(all, ", ")), func(m Milter) bool { return m.Address == address }) {
		p.service(port, "smtpd_milters", strings.Join(append(all, entry), ", "))
	}
	if slices.Contains(entries(port.Get("receive_override_options")), "no_milters") {
		p.service(port, "receive_override_options", strings.Join(without(entries(overrides), []string{"no_milters"}), ","))
	}
}
