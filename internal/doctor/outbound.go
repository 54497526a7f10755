package doctor

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/recall-milter/recall-milter/internal/postfix"
)

// outbound looks whether the daemon takes as outbound what Postfix takes from its own.
func (s *Site) outbound(r report) {
	var missing []string
	for _, network := range networks(s.mta.Get("mynetworks")) {
		if !s.covers(network) {
			missing = append(missing, network.String())
		}
	}
	if len(missing) > 0 {
		r.warn("postfix.networks", inConfig(s,
			`networks = ["`+strings.Join(slices.Concat(s.Config.Outbound.Networks, missing), `", "`)+`"] under [outbound]`),
			"clients in %s may relay (mynetworks), and are not outbound for the daemon: what they send is not held",
			strings.Join(missing, ", "))
	}
	for _, service := range s.mta.Running("smtpd") {
		if m, _ := s.ours(service, "smtpd_milters"); m != nil && !s.outboundLogins(service) {
			r.bad("postfix.logins", inConfig(s, "authenticated = true under [outbound]"),
				"users who log in at %s are not outbound for the daemon: what they send is not held", service)
		}
	}
}

// outboundLogins says whether mail of users who log in is outbound; also when nobody can.
func (s *Site) outboundLogins(service *postfix.Service) bool {
	return service.Get("smtpd_sasl_auth_enable") != "yes" || s.Config.Outbound.Authenticated ||
		slices.Contains(s.Config.Outbound.DaemonNames, service.Get("milter_macro_daemon_name"))
}

// networks reads the networks of a list; tables and exceptions are left out.
func networks(list string) []netip.Prefix {
	var all []netip.Prefix
	for _, text := range strings.FieldsFunc(list, func(c rune) bool { return strings.ContainsRune(", \t", c) }) {
		text = strings.NewReplacer("[", "", "]", "").Replace(text)
		if a, err := netip.ParseAddr(text); err == nil {
			all = append(all, netip.PrefixFrom(a, a.BitLen()))
		} else if p, err := netip.ParsePrefix(text); err == nil {
			all = append(all, p)
		}
	}
	return all
}

// covers says whether outbound.networks has all of a network. IPv4 written as IPv6 is IPv4.
func (s *Site) covers(n netip.Prefix) bool {
	if n.Addr().Is4In6() && n.Bits() >= 96 {
		n = netip.PrefixFrom(n.Addr().Unmap(), n.Bits()-96)
	}
	return slices.ContainsFunc(networks(strings.Join(s.Config.Outbound.Networks, " ")), func(o netip.Prefix) bool {
		return o.Bits() <= n.Bits() && o.Contains(n.Addr())
	})
}
