package doctor

import (
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/recall-milter/recall-milter/internal/postfix"
)

// loops looks for settings that send mail, once it is released, back to where it is held or released.
func (s *Site) loops(port *postfix.Service, r report) {
	at := postfix.Endpoint{Network: "tcp", Address: port.HostPort()}
	if port.Type != "inet" {
		at = Endpoint(s.Config.Release.SMTP)
	}
	value := port.Get("content_filter")
	clear := "postconf -P " + quoted(port.String()+"/content_filter=") + " && postfix reload"
	if entry := s.entryAt(value); leadsTo(value, at) {
		r.bad("postfix.filter-loop", clear, "%s: content_filter (%s) leads back to the re-injection port: mail goes round until it has too many hops", port, value)
	} else if entry != nil {
		r.bad("postfix.filter-loop", clear, "%s: content_filter (%s) leads to %s, which asks our milter: released mail is held again", port, value, entry)
	}
	for _, name := range []string{"relayhost", "default_transport", "relay_transport", "local_transport", "virtual_transport", "mailbox_transport", "fallback_relay", "smtp_fallback_relay"} {
		value := s.mta.Get(name)
		switch entry := s.entryAt(value); {
		case leadsTo(value, at):
			r.bad("postfix.loop", byHand+"only you know where this mail should go: name that by "+name+" in main.cf, then: postfix reload",
				"%s (%s) leads to the re-injection port: released mail comes in again, until it has too many hops", name, value)
		case entry != nil:
			r.bad("postfix.loop", byHand+"only you know where this mail should go: name that by "+name+" in main.cf, then: postfix reload",
				"%s (%s) leads to %s, which asks our milter: released mail comes in again", name, value, entry)
		}
	}
}

// leadsTo says whether a next hop ("smtp:[127.0.0.1]:10026", "[::1]:10026", "lmtp:unix:/run/x", "inet:host:port") is an endpoint.
func leadsTo(value string, at postfix.Endpoint) bool {
	for _, hop := range strings.FieldsFunc(value, func(c rune) bool { return strings.ContainsRune(", \t", c) }) {
		if at.Network == "unix" {
			if strings.HasSuffix(hop, "unix:"+at.Address) {
				return true
			}
			continue
		}
		if to := nextHop(hop); to != "" && postfix.SameHostPort(to, at.Address) {
			return true
		}
	}
	return false
}

// nextHop is host:port of a next hop that names a port; "" of another.
func nextHop(hop string) string {
	begin := strings.IndexByte(hop, '[')
	if end := strings.LastIndexByte(hop, ']'); begin >= 0 && end > begin {
		host, port, ok := hop[begin+1:end], "", strings.HasPrefix(hop[end+1:], ":")
		if port = strings.TrimPrefix(hop[end+1:], ":"); !ok {
			port = "25"
		}
		return net.JoinHostPort(strings.TrimPrefix(host, "ipv6:"), port)
	}
	parts := strings.Split(hop, ":")
	if len(parts) < 2 {
		return ""
	}
	host, port := parts[len(parts)-2], parts[len(parts)-1]
	if host == "" || strings.HasPrefix(port, "/") {
		return ""
	}
	return net.JoinHostPort(host, port)
}

// entryAt is the service that asks our milter and that a next hop leads to; nil: none.
func (s *Site) entryAt(value string) *postfix.Service {
	for _, service := range s.mta.Running("smtpd") {
		m, _ := s.ours(service, "smtpd_milters")
		if m == nil || service.Type != "inet" || strings.Contains(service.Get("receive_override_options"), "no_milters") {
			continue
		}
		for _, hop := range strings.FieldsFunc(value, func(c rune) bool { return strings.ContainsRune(", \t", c) }) {
			if to := nextHop(hop); to != "" && postfix.SameHostPort(to, service.HostPort()) {
				return service
			}
		}
	}
	return nil
}

// clientLimits are Postfix's limits by client; all released mail comes from one.
var clientLimits = []string{"smtpd_client_connection_rate_limit", "smtpd_client_message_rate_limit", "smtpd_client_recipient_rate_limit",
	"smtpd_client_new_tls_session_rate_limit", "smtpd_client_auth_rate_limit"}

// throttled looks whether limits by client bear on the daemon at the re-injection port.
func (s *Site) throttled(port *postfix.Service, r report) {
	if s.exempt(port) {
		return
	}
	var wrong, settings []string
	for _, name := range clientLimits {
		if n := number(port.Get(name)); n > 0 {
			wrong, settings = append(wrong, name), append(settings, quoted(port.String()+"/"+name+"=0"))
		}
	}
	const count = "smtpd_client_connection_count_limit"
	if n := number(port.Get(count)); n > 0 && n < int64(s.Config.Release.Concurrency) {
		wrong, settings = append(wrong, count), append(settings, quoted(port.String()+"/"+count+"=0"))
	}
	if len(wrong) > 0 {
		r.warn("postfix.throttled", "postconf -P "+strings.Join(settings, " ")+" && postfix reload",
			"%s limits what one client may send (%s), and all held mail comes from one: it is late", port, strings.Join(wrong, ", "))
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
