package postfix

import (
	"maps"
	"slices"
	"strings"
)

// Port is one re-injection port: held mail comes back there.
type Port struct {
	Daemon  string // the name of the services whose mail it is for; "": all others
	At      Endpoint
	Setting string // of our config
}

// Ports returns all re-injection ports, that for all others first.
func (n Needs) Ports() []Port {
	all := []Port{{"", n.Release, "release.smtp"}}
	for _, name := range slices.Sorted(maps.Keys(n.ByDaemon)) {
		all = append(all, Port{name, n.ByDaemon[name], "release.smtp_by_daemon." + name})
	}
	return all
}

// portOptions are the settings of every re-injection port. Mail that was accepted once is not judged again, all of it
// comes from one client, and header fields were rewritten when it came in.
var portOptions = []string{"syslog_name=postfix/recall", "smtpd_milters=",
	"receive_override_options=no_milters,no_header_body_checks",
	"smtpd_authorized_xforward_hosts=127.0.0.0/8", "smtpd_authorized_verp_clients=127.0.0.0/8", "mynetworks=127.0.0.0/8",
	"smtpd_client_restrictions=permit_mynetworks,reject", "smtpd_relay_restrictions=permit_mynetworks,reject",
	"smtpd_helo_restrictions=", "smtpd_sender_restrictions=", "smtpd_recipient_restrictions=",
	"smtpd_data_restrictions=", "smtpd_end_of_data_restrictions=",
	"smtpd_reject_unlisted_sender=no", "smtpd_reject_unlisted_recipient=no",
	"smtpd_command_filter=", "smtpd_proxy_filter=", "smtpd_upstream_proxy_protocol=",
	"smtpd_discard_ehlo_keywords=", "smtpd_discard_ehlo_keyword_address_maps=",
	"smtpd_client_event_limit_exceptions=127.0.0.0/8", "smtpd_recipient_limit=50000",
	"smtpd_soft_error_limit=100000", "smtpd_hard_error_limit=100000", "smtpd_error_sleep_time=0",
	"local_header_rewrite_clients=", "remote_header_rewrite_domain=", "smtpd_tls_security_level=none"}

// options returns the settings of a port that does what a treatment says, the parameters of main.cf that they use, and
// the settings of the cleanup service that it needs; none when the treatment's own will do. checker names that service.
func (t Treatment) options(c *Config, p Port, checker string) (options []string, main []parameter, checks []string) {
	main, checks, special := t.acting(p.suffix("_"))
	overrides := []string{"no_milters"}
	if t.Unmapped {
		overrides = append(overrides, "no_address_mappings")
	}
	service := t.Cleanup
	if len(checks) > 0 {
		service = checker
	} else {
		overrides = append(overrides, "no_header_body_checks")
	}
	special = append(special, "receive_override_options="+strings.Join(overrides, ","))
	if t.Filter != c.Get("content_filter") {
		special = append(special, "content_filter="+t.Filter)
	}
	if service != c.Get("cleanup_service_name") {
		special = append(special, "cleanup_service_name="+service)
	}
	return replaced(portOptions, special), main, checks
}

func (p Port) suffix(separator string) string {
	if p.Daemon == "" {
		return ""
	}
	return separator + strings.ReplaceAll(sanitized(p.Daemon), "_", separator)
}

// checkerOptions are the settings of the treatment's own cleanup service, with other checks.
func (t Treatment) checkerOptions(checks []string) (options []string) {
	for _, parameter := range slices.Sorted(maps.Keys(t.checksFrom.raw)) {
		options = append(options, parameter+"="+t.checksFrom.raw[parameter])
	}
	for _, check := range checkNames[:4] { // those of milters see only what a milter of the port adds
		options = replaced(options, []string{check + "="})
	}
	return replaced(options, append(checks, "in_flow_delay=0"))
}

// replaced returns settings with others in place of those of the same name, or behind all.
func replaced(settings, others []string) []string {
	all := slices.Clone(settings)
	for _, other := range others {
		name, _, _ := strings.Cut(other, "=")
		at := slices.IndexFunc(all, func(s string) bool { return strings.HasPrefix(s, name+"=") })
		if at < 0 {
			all = append(all, other)
		} else {
			all[at] = other
		}
	}
	return all
}

// sanitized makes a part of a parameter's name of a daemon's name.
func sanitized(name string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}, strings.ToLower(name))
}

// reinjection is the service by which held mail comes back, and what it needs.
func (p *plan) reinjection(port Port) {
	if port.At.Network != "tcp" || !port.At.Local() {
		return
	}
	t, s := p.c.TreatmentOf(port.Daemon, p.needs), p.c.At(port.At)
	checker := "recall-cleanup" + port.suffix("-")
	if s != nil && s.Overrides("cleanup_service_name") && s.Cleanup() != nil && s.Cleanup().Name != t.Cleanup {
		checker = s.Cleanup().Name // the site has given the port one of its own
	}
	options, main, checks := t.options(p.c, port, checker)
	for _, m := range main {
		if p.c.raw[m.name] != m.value {
			p.main(m.name, m.value)
		}
	}
	if len(checks) > 0 {
		p.checker(checker, t, checks)
	}
	if s != nil {
		p.amended(s, t, options)
		return
	}
	p.line(port.At.Address, "inet", "n - n - - smtpd", options)
}

// PortChanges are the changes that one re-injection port needs.
func (c *Config) PortChanges(port Port, n Needs) []Change {
	p := &plan{c: c, needs: n}
	p.reinjection(port)
	return p.changes
}

// checker is the cleanup service that makes the checks of a port.
func (p *plan) checker(name string, t Treatment, checks []string) {
	options := t.checkerOptions(checks)
	s := p.c.Find(name, "unix")
	if s == nil {
		chroot := map[bool]string{true: "y", false: "n"}[t.checksFrom.Chroot]
		p.line(name, "unix", "n - "+chroot+" - 0 cleanup", options)
		return
	}
	for _, option := range options {
		if name, value, _ := strings.Cut(option, "="); s.Raw(name) != value {
			p.service(s, name, value)
		}
	}
}

// line adds a service.
func (p *plan) line(name, kind, fields string, options []string) {
	line := name + " " + kind + " " + fields
	for _, option := range options {
		if strings.ContainsAny(option, " \t") {
			option = "{" + option + "}"
		}
		line += " -o " + option
	}
	p.changes = append(p.changes, Change{"master.cf", name + "/" + kind, "", line, "-M", name + "/" + kind + "=" + line})
}

// amended is a port that is there already. What it should have and main.cf gives otherwise is added. What its own line
// says stays, unless mail would be lost, changed twice or held again by it.
func (p *plan) amended(s *Service, t Treatment, options []string) {
	set := func(name, value string, wrong bool) {
		if wrong {
			p.service(s, name, value)
		}
	}
	set("content_filter", t.Filter, s.Get("content_filter") != t.Filter)
	for _, option := range options {
		name, value, _ := strings.Cut(option, "=")
		switch name {
		case "smtpd_milters":
			inherits := !s.Overrides(name) || s.has(s.Get(name), p.needs.Milter)
			set(name, "", inherits && !strings.Contains(s.Get("receive_override_options"), "no_milters"))
		case "receive_override_options":
			now := s.Get(name)
			if s.Get("smtpd_milters") != "" && s.Overrides("smtpd_milters") && !slices.Contains(entries(now), "no_milters") {
				value = strings.Join(without(entries(value), []string{"no_milters"}), ",") // it asks milters of its own
			}
			set(name, value, lacks(now, value))
		case "syslog_name", "content_filter":
		case "cleanup_service_name":
			set(name, value, s.Get(name) != value)
		default:
			if strings.HasSuffix(name, "_restrictions") {
				p.restriction(s, name, value)
			} else {
				set(name, value, !s.Overrides(name) && s.Get(name) != value)
			}
		}
	}
}

// restriction empties what judges again, and makes the checks that act.
func (p *plan) restriction(s *Service, name, value string) {
	if strings.HasPrefix(value, "$") && s.Raw(name) != value || slices.Contains(s.Judges(), name) {
		p.service(s, name, value)
	}
}

// lacks says whether the receive_override_options of a port differ in what happens to mail. Milters of the port's own,
// such as a signer, are the site's choice.
func lacks(now, wanted string) bool {
	has, wants := entries(now), entries(wanted)
	for _, option := range []string{"no_address_mappings", "no_header_body_checks"} {
		if slices.Contains(has, option) != slices.Contains(wants, option) {
			return true
		}
	}
	return false
}

// TreatmentOf returns what is to be done to the mail that a port is for: that of the services with this daemon name.
// The port for all others does what they all agree on; where they do not, what main.cf says, if one of them does that.
func (c *Config) TreatmentOf(daemon string, n Needs) Treatment {
	main := (&Service{config: c}).Treatment()
	var all []Treatment
	for _, s := range c.submitted(n) {
		if _, named := n.ByDaemon[s.DaemonName()]; named == (daemon != "") && (!named || s.DaemonName() == daemon) {
			all = append(all, c.treatment(s, n))
		}
	}
	agreed := func(t Treatment) bool { return t.String() == main.String() }
	if len(all) == 0 || slices.ContainsFunc(all, agreed) {
		return main
	}
	return all[0]
}

// treatment is what a service does to its messages. The port for what programs submit asks no access tables, as pickup
// does not: those that the re-injection port asks are the same for both.
func (c *Config) treatment(s *Service, n Needs) Treatment {
	t := s.Treatment()
	if s == c.ProgramsPort(n) {
		main := (&Service{config: c}).Treatment()
		t.Restrict, t.Unseen = main.Restrict, main.Unseen
	}
	return t
}

// DaemonName is the name by which the milter knows where a message was submitted.
func (s *Service) DaemonName() string { return s.Named().Get("milter_macro_daemon_name") }

// Named is the service whose line gives the daemon name: for what sendmail(1) submits, the cleanup service.
func (s *Service) Named() *Service {
	if cleanup := s.Cleanup(); s.Command == "pickup" && cleanup != nil {
		return cleanup
	}
	return s
}

// Holding returns the services whose mail the milter sees, or will see after a setup: smtpd and pickup. Re-injection
// ports are not among them, nor is the way back from a content filter.
func (c *Config) Holding(n Needs) (all []*Service) {
	for _, s := range c.Services {
		asked := func(list string, by *Service) bool { return !by.Overrides(list) || by.has(by.Get(list), n.Milter) }
		switch {
		case s.Command == "pickup" && s.Cleanup() != nil && asked("non_smtpd_milters", s.Cleanup()) &&
			c.ProgramsPort(n) == nil:
		case s.Command == "smtpd" && !n.IsPort(s) && (asked("smtpd_milters", s) || s.Submission()) &&
			!slices.Contains(entries(s.Get("receive_override_options")), "no_milters"):
		default:
			continue
		}
		all = append(all, s)
	}
	return all
}

// WaysBack returns those of the holding services at which content filters hand back what another one took.
func (c *Config) WaysBack(n Needs) (all []*Service) {
	holding := c.Holding(n)
	filtered := slices.ContainsFunc(holding, func(s *Service) bool {
		return s.Command == "smtpd" &&
			s.Get("content_filter") != ""
	})
	for _, s := range holding {
		if filtered && s.Command == "smtpd" && s.Loopback() && s.Overrides("content_filter") &&
			s.Get("content_filter") == "" {
			all = append(all, s)
		}
	}
	return all
}

// submitted returns the holding services but for ways back.
func (c *Config) submitted(n Needs) []*Service {
	back := c.WaysBack(n)
	return slices.DeleteFunc(c.Holding(n), func(s *Service) bool { return slices.Contains(back, s) })
}

// Stray is a service whose mail comes back by a port that does something else to it than the service does.
type Stray struct {
	Service  *Service
	Settings []string // in which the two differ
	Port     Endpoint
	Shared   bool // another service has the same daemon name, and the port does what that one says
}

// Strays lists them.
func (c *Config) Strays(n Needs) (all []Stray) {
	for _, s := range c.submitted(n) {
		daemon, at := "", n.Release
		if named, ok := n.ByDaemon[s.DaemonName()]; ok {
			daemon, at = s.DaemonName(), named
		}
		if settings := c.treatment(s, n).Differs(c.TreatmentOf(daemon, n)); len(settings) > 0 {
			all = append(all, Stray{s, settings, at, daemon != "" || s.DaemonName() == c.Get("milter_macro_daemon_name")})
		}
	}
	return all
}

// IsPort says whether a service is a re-injection port.
func (n Needs) IsPort(s *Service) bool {
	return slices.ContainsFunc(n.Ports(), func(p Port) bool { return s.Listens(p.At) })
}
