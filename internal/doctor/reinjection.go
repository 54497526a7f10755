package doctor

import (
	"maps"
	"slices"
	"strings"

	"github.com/recall-milter/recall-milter/internal/postfix"
)

// portTreatment looks at what a re-injection port does to mail: what Postfix would have done without the hold, and that
// once.
func (s *Site) portTreatment(service *postfix.Service, r report) {
	port := s.portOf(service)
	set := func(setting string) string {
		return "postconf -P '" + service.String() + "/" + setting + "' && postfix reload"
	}
	if m, _ := s.ours(service, "smtpd_milters"); m != nil &&
		!strings.Contains(service.Get("receive_override_options"), "no_milters") {
		r.bad("postfix.loop", set("smtpd_milters="), "%s, where held mail comes back, has our milter: released mail comes "+
			"in again, and waits again when its mark is lost", service)
	}
	wanted := s.mta.TreatmentOf(port.Daemon, s.Needs())
	s.mappings(service, wanted, r)
	s.checksTwice(service, r)
	s.actions(service, port, wanted, r)
	if now := service.Get("content_filter"); now != wanted.Filter && wanted.Filter != "" {
		r.bad("postfix.filter", "recallctl setup --apply --reload",
			"%s has content_filter=%s, and where the mail was submitted it is %s: held mail goes round that filter", service,
			now, wanted.Filter)
	} else if now != wanted.Filter {
		r.bad("postfix.filter", "recallctl setup --apply --reload",
			"%s has content_filter=%s, which the mail does not meet where it was submitted", service, now)
	}
	s.loops(service, r)
	for _, name := range []string{"smtpd_command_filter", "smtpd_proxy_filter", "smtpd_upstream_proxy_protocol"} {
		if value := service.Get(name); value != "" {
			r.bad("postfix.twice", set(name+"="), "%s has %s of main.cf: it was applied when the mail came in, and a second "+
				"time it can damage or refuse held mail", service, name)
		}
	}
	if names := service.Judges(); len(names) > 0 {
		r.warn("postfix.judges", "recallctl setup --apply --reload",
			"%s judges again what was accepted once, by %s: it may refuse held mail", service, strings.Join(names, ", "))
	}
}

func (s *Site) portOf(service *postfix.Service) postfix.Port {
	all := s.Needs().Ports()
	return all[max(0, slices.IndexFunc(all, func(p postfix.Port) bool { return service.Listens(p.At) }))]
}

// mappings looks at who maps addresses: the port, unless the mail is mapped later without a hold.
func (s *Site) mappings(service *postfix.Service, wanted postfix.Treatment, r report) {
	const fix = "recallctl setup --apply --reload"
	switch now := service.Treatment().Unmapped; {
	case now && !wanted.Unmapped:
		r.bad("postfix.mapping", fix, "%s has no_address_mappings: aliases, canonical addresses and always_bcc are lost",
			service)
	case !now && wanted.Unmapped:
		r.bad("postfix.mapping", fix, "%s lacks no_address_mappings, which is set where mail is submitted: aliases and "+
			"canonical addresses are mapped twice, and always_bcc gets two copies", service)
	}
}

// checksTwice looks whether the port makes the checks that were made when the mail came in.
func (s *Site) checksTwice(service *postfix.Service, r report) {
	for name, tables := range service.Treatment().Checks {
		if name != "milter_header_checks" &&
			slices.ContainsFunc(tables, func(t string) bool { return !postfix.ActsOnly(t) }) {
			r.warn("postfix.checks", "recallctl setup --apply --reload",
				"%s makes header_checks and body_checks a second time: what they add is doubled, and breaks DKIM signatures",
				service)
			return
		}
	}
}

// actions looks whether HOLD, FILTER, REDIRECT and BCC of the site's tables, which a held message loses, are done at
// the port.
func (s *Site) actions(service *postfix.Service, port postfix.Port, wanted postfix.Treatment, r report) {
	missing := slices.ContainsFunc(s.mta.PortChanges(port, s.Needs()), func(c postfix.Change) bool {
		setting := c.Name[strings.LastIndex(c.Name, "/")+1:]
		return strings.HasPrefix(c.Name, "recall") || strings.HasSuffix(setting, "_restrictions") &&
			strings.HasPrefix(c.To, "$") ||
			setting == "cleanup_service_name" && strings.HasPrefix(c.To, "recall-cleanup") ||
			setting == "receive_override_options" && strings.Contains(c.From, "no_header_body_checks") &&
				!strings.Contains(c.To, "no_header_body_checks")
	})
	if !missing {
		return
	}
	const fix = "recallctl setup --apply --reload # " +
		"/usr/share/doc/recall-milter/docs/before-the-hold.md says what it does"
	all, told := wanted.Tables(), map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		for _, table := range all[name] {
			if told[table] {
				continue
			}
			told[table] = true
			switch acts := s.mta.Acts(table); {
			case acts == postfix.Yes:
				r.bad("postfix.actions", fix,
					"%s: %s has HOLD, FILTER, REDIRECT or BCC: they are lost with a held message, since %s does not do them", name,
					table, service)
			case acts == postfix.Maybe:
				r.warn("postfix.actions", fix, "%s: %s can't be read here: a HOLD, FILTER, REDIRECT or BCC of it is lost with a "+
					"held message, since %s does not do them", name, table, service)
			case strings.HasSuffix(name, "header_checks") && s.mta.Mentions(table, "received"):
				r.warn("postfix.actions", fix, "%s: what %s does to Received fields is not done to those that are added at "+
					"release: they may say what it hides", name, table)
			}
		}
	}
}
