package doctor

import (
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/recall-milter/recall-milter/internal/hint"
	"github.com/recall-milter/recall-milter/internal/postfix"
)

// loops looks for settings that send mail, once it is released, back to where it is held or released.
func (s *Site) loops(port *postfix.Service, r report) {
	at := postfix.Endpoint{Network: "tcp", Address: port.HostPort()}
	if port.Type != "inet" {
		at = Endpoint(s.Config.Release.SMTP)
	}
	value := port.Get("content_filter")
	clear := "postconf -P " + hint.Quoted(port.String()+"/content_filter=") + " && postfix reload"
	if entry := s.entryAt(value); postfix.LeadsTo(value, at) {
		r.bad("postfix.filter-loop", clear,
			"%s: content_filter (%s) leads back to the re-injection port: mail goes round until it has too many hops", port,
			value)
	} else if entry != nil {
		r.bad("postfix.filter-loop", clear,
			"%s: content_filter (%s) leads to %s, which asks our milter: released mail is held again", port, value, entry)
	}
	for _, name := range []string{"relayhost", "default_transport", "relay_transport", "local_transport",
		"virtual_transport",
		"mailbox_transport", "fallback_transport", "fallback_relay", "smtp_fallback_relay"} {
		value := s.mta.Get(name)
		switch entry := s.entryAt(value); {
		case postfix.LeadsTo(value, at):
			r.bad("postfix.loop",
				byHand+"only you know where this mail should go: name that by "+name+" in main.cf, then: postfix reload",
				"%s (%s) leads to the re-injection port: released mail comes in again, until it has too many hops", name, value)
		case entry != nil:
			r.bad("postfix.loop",
				byHand+"only you know where this mail should go: name that by "+name+" in main.cf, then: postfix reload",
				"%s (%s) leads to %s, which asks our milter: released mail comes in again", name, value, entry)
		}
	}
	s.tableLoops(port, at, r)
}

// routes are the parameters whose tables name next hops.
var routes = []string{"transport_maps", "sender_dependent_relayhost_maps", "sender_dependent_default_transport_maps",
	"mailbox_transport_maps", "fallback_transport_maps"}

// tableLoops looks for the same in tables: next hops, and FILTER in those of checks, which the re-injection port does
// as well.
func (s *Site) tableLoops(port *postfix.Service, at postfix.Endpoint, r report) {
	told := map[string]bool{}
	look := func(name, table string, filters bool) {
		if told[table] {
			return // header_checks are mime_header_checks as well
		}
		told[table] = true
		fix := byHand + "only you know where this mail should go: name that in the table of " + name +
			", then: postfix reload"
		if s.mta.Routes(table, filters, at) {
			r.bad("postfix.loop", fix, "%s: an entry of %s leads to the re-injection port: released mail comes in again, "+
				"until it has too many hops", name, table)
			return
		}
		for _, service := range s.asking() {
			if s.mta.Routes(table, filters, postfix.Endpoint{Network: "tcp", Address: service.HostPort()}) {
				r.bad("postfix.loop", fix, "%s: an entry of %s leads to %s, which asks our milter: released mail comes in again",
					name, table, service)
				return
			}
		}
		s.unread(name, table, r)
	}
	for _, name := range routes {
		for _, table := range s.mta.Tables(name) {
			look(name, table, false)
		}
	}
	all := s.mta.TreatmentOf(s.portOf(port).Daemon, s.Needs()).Tables()
	for _, name := range slices.Sorted(maps.Keys(all)) {
		for _, table := range all[name] {
			look(name, table, true)
		}
	}
}

// unread says of which tables only one entry at a time can be asked for.
func (s *Site) unread(name, table string, r report) {
	for _, one := range s.mta.Unread(table) {
		r.note("postfix.unread",
			byHand+"which addresses matter only you know: look at their entries with postmap -q ADDRESS "+hint.Quoted(one),
			"%s: the entries of %s can't be listed, so whether one leads to the re-injection port, or to a port that asks our "+
				"milter, was not looked at", name, one)
	}
}

// entryAt is the service that asks our milter and that a next hop leads to; nil: none.
func (s *Site) entryAt(value string) *postfix.Service {
	for _, service := range s.asking() {
		if postfix.LeadsTo(value, postfix.Endpoint{Network: "tcp", Address: service.HostPort()}) {
			return service
		}
	}
	return nil
}

// asking are the ports that ask our milter.
func (s *Site) asking() (all []*postfix.Service) {
	for _, service := range s.mta.Running("smtpd") {
		m, _ := s.ours(service, "smtpd_milters")
		if m != nil && service.Type == "inet" && !strings.Contains(service.Get("receive_override_options"), "no_milters") {
			all = append(all, service)
		}
	}
	return all
}

// clientLimits are Postfix's limits by client; all released mail comes from one.
var clientLimits = []string{"smtpd_client_connection_rate_limit", "smtpd_client_message_rate_limit",
	"smtpd_client_recipient_rate_limit",
	"smtpd_client_new_tls_session_rate_limit", "smtpd_client_auth_rate_limit"}

// throttled looks whether limits by client bear on the daemon at the re-injection port.
func (s *Site) throttled(port *postfix.Service, r report) {
	if s.exempt(port) {
		return
	}
	var wrong, settings []string
	for _, name := range clientLimits {
		if n := number(port.Get(name)); n > 0 {
			wrong, settings = append(wrong, name), append(settings, hint.Quoted(port.String()+"/"+name+"=0"))
		}
	}
	const count = "smtpd_client_connection_count_limit"
	if n := number(port.Get(count)); n > 0 && n < int64(s.Config.Release.Concurrency) {
		wrong, settings = append(wrong, count), append(settings, hint.Quoted(port.String()+"/"+count+"=0"))
	}
	if len(wrong) > 0 {
		r.warn("postfix.throttled", "postconf -P "+strings.Join(settings, " ")+" && postfix reload",
			"%s limits what one client may send (%s), and all held mail comes from one: it is late", port,
			strings.Join(wrong, ", "))
	}
}

// exempt says whether the daemon's own address is free of the limits.
func (s *Site) exempt(port *postfix.Service) bool {
	host, _, _ := net.SplitHostPort(reachable(s.Config.Release.SMTP))
	local := map[bool]string{true: "::1/128", false: "127.0.0.1/32"}[strings.Contains(host, ":")]
	for _, n := range networks(port.Get("smtpd_client_event_limit_exceptions")) {
		if slices.ContainsFunc(networks(local), func(l netip.Prefix) bool { return n.Contains(l.Addr()) }) {
			return true
		}
	}
	return false
}
