package doctor

import (
	"context"
	"errors"
	"net"
	"os"
	"time"
)

// dnsTime is how long an answer may take: the daemon itself waits no longer for one.
const dnsTime = 3 * time.Second

// dns looks whether names can be asked, which checks of recalls that come in need.
func dns(ctx context.Context, s *Site, r report) {
	server := s.Config.Inbound.DNS
	resolver := &net.Resolver{PreferGo: true}
	whose := "the system's resolver"
	if server != "" {
		whose = server
		resolver.Dial = func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, server)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, dnsTime)
	defer cancel()
	began := time.Now()
	_, err := resolver.LookupTXT(ctx, "_dmarc."+s.domain()+".")
	var no *net.DNSError
	if err != nil && !(errors.As(err, &no) && no.IsNotFound) {
		r.warn("dns.answers", byHand+"only you know a resolver that answers: name it in /etc/resolv.conf, or by dns = "+
			"\"HOST:53\" under [inbound] in "+s.File+", then: systemctl reload recall-milter",
			"%s does not answer: recalls that come in can't be checked and do nothing: %s", whose, words(err))
		return
	}
	r.fine("dns", "%s answers in %v", whose, time.Since(began).Round(time.Millisecond))
}

// domain is a name to ask for: our own.
func (s *Site) domain() string {
	if s.Config.Inbound.AuthservID != "" {
		return s.Config.Inbound.AuthservID
	}
	if name, err := os.Hostname(); err == nil && name != "" {
		return name
	}
	return "localhost"
}
