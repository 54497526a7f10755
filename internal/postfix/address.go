package postfix

import (
	"context"
	"net"
	"path/filepath"
	"strings"
	"time"
)

// Endpoint is where something listens: network "tcp" and host:port, or "unix" and a path.
type Endpoint struct{ Network, Address string }

// Reaches says whether a milter address that this service uses leads to an endpoint.
func (s *Service) Reaches(address string, e Endpoint) bool {
	kind, rest, _ := strings.Cut(address, ":")
	switch kind {
	case "inet", "inet6":
		return e.Network == "tcp" && SameHostPort(rest, e.Address)
	case "unix", "local":
		return e.Network == "unix" && filepath.Clean(e.Address) == s.path(rest)
	}
	return false
}

// MilterEndpoint is where a milter address that this service uses leads to; ok: it has a form that Postfix takes.
func (s *Service) MilterEndpoint(address string) (at Endpoint, ok bool) {
	kind, rest, _ := strings.Cut(address, ":")
	switch kind {
	case "inet", "inet6":
		return Endpoint{"tcp", rest}, true
	case "unix", "local":
		return Endpoint{"unix", s.path(rest)}, true
	}
	return at, false
}

// path is where a socket of the service's lies: its working directory is the queue, which is also its root when it is
// chrooted.
func (s *Service) path(p string) string {
	if s.Chroot || !filepath.IsAbs(p) {
		return filepath.Join(s.Get("queue_directory"), p)
	}
	return filepath.Clean(p)
}

// SameHostPort says whether who dials "dialed" comes out at what listens at "listens".
func SameHostPort(dialed, listens string) bool {
	dialHost, dialPort, err := net.SplitHostPort(dialed)
	host, port, wrong := net.SplitHostPort(listens)
	if err != nil || wrong != nil || number(dialPort) != number(port) {
		return false
	}
	to := numeric(host)
	for _, a := range resolved(dialHost) {
		if a == to || to == "" && local(a) {
			return true
		}
	}
	return false
}

// lookTime bounds the look for a name's addresses.
const lookTime = 2 * time.Second

// resolved are the addresses of a host; one that has none stands for itself.
func resolved(host string) []string {
	one := numeric(host)
	if one == "" || net.ParseIP(one) != nil {
		return []string{one}
	}
	ctx, cancel := context.WithTimeout(context.Background(), lookTime)
	defer cancel()
	if all, err := net.DefaultResolver.LookupHost(ctx, one); err == nil {
		return all
	}
	return []string{one}
}

// number is a port without its name in /etc/services.
func number(port string) int {
	n, err := net.LookupPort("tcp", port)
	if err != nil {
		return -1
	}
	return n
}

// numeric is a host's address; "" stands for all of this machine.
func numeric(host string) string {
	host = strings.ToLower(strings.Trim(host, "[]"))
	switch ip := net.ParseIP(host); {
	case host == "localhost":
		return "127.0.0.1"
	case ip == nil:
		return host
	case ip.IsUnspecified():
		return ""
	default:
		return ip.String()
	}
}

// local says whether an address is one of this machine.
func local(host string) bool {
	ip := net.ParseIP(host)
	if host == "" || ip.IsLoopback() {
		return true
	}
	all, _ := net.InterfaceAddrs()
	for _, a := range all {
		if n, ok := a.(*net.IPNet); ok && n.IP.Equal(ip) {
			return true
		}
	}
	return false
}

// Local says whether host:port, or a unix socket, is on this machine.
func (e Endpoint) Local() bool {
	if e.Network == "unix" {
		return true
	}
	host, _, err := net.SplitHostPort(e.Address)
	return err == nil && local(numeric(host))
}

// Listens says whether the service is what listens at an endpoint.
func (s *Service) Listens(e Endpoint) bool {
	if s.Type != "inet" || e.Network != "tcp" {
		return s.Type == "unix" && e.Network == "unix" && s.socket() == filepath.Clean(e.Address)
	}
	return SameHostPort(e.Address, s.HostPort())
}

// HostPort is the service's name as host:port; the host is empty when master.cf leaves it out.
func (s *Service) HostPort() string {
	if strings.Contains(s.Name, ":") {
		return s.Name
	}
	return ":" + s.Name
}

// Loopback says whether only this machine reaches the service.
func (s *Service) Loopback() bool {
	host, _, err := net.SplitHostPort(s.HostPort())
	if s.Type != "inet" || err != nil {
		return s.Type == "unix"
	}
	if numeric(host) == "" {
		only := s.config.Get("inet_interfaces")
		return only == "loopback-only" || only == "localhost" || net.ParseIP(only).IsLoopback()
	}
	return net.ParseIP(numeric(host)).IsLoopback()
}

// socket is where a unix service listens.
func (s *Service) socket() string {
	folder := map[bool]string{true: "private", false: "public"}[s.Private]
	return filepath.Join(s.config.Get("queue_directory"), folder, s.Name)
}

// Public says whether it is a port that is known for mail of others.
func (s *Service) Public() bool {
	_, port, err := net.SplitHostPort(s.HostPort())
	return s.Submission() || err == nil && (port == "smtp" || port == "25")
}
