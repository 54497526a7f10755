package postfix

import (
	"net"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Duration reads a time of Postfix: a number with s, m, h, d or w, seconds without. ok: it is one.
func Duration(text string) (d time.Duration, ok bool) {
	digits := strings.TrimRight(text, "smhdw")
	n, err := strconv.Atoi(digits)
	if err != nil || len(text) > len(digits)+1 {
		return 0, false
	}
	unit := map[string]time.Duration{"": time.Second, "s": time.Second, "m": time.Minute, "h": time.Hour,
		"d": 24 * time.Hour, "w": 7 * 24 * time.Hour}
	return time.Duration(n) * unit[text[len(digits):]], true
}

// MilterAddress is how smtpd_milters names what listens at an endpoint. A socket below the queue is named from there,
// which is right for chrooted services and others.
func MilterAddress(c *Config, e Endpoint) string {
	if e.Network == "unix" {
		if below, err := filepath.Rel(c.Get("queue_directory"), e.Address); err == nil && !strings.HasPrefix(below, "..") {
			return "unix:" + below
		}
		return "unix:" + e.Address
	}
	host, port, _ := net.SplitHostPort(e.Address)
	if numeric(host) == "" {
		host = "127.0.0.1"
	}
	return "inet:" + net.JoinHostPort(host, port)
}

// WithLast returns a service's list of milters with ours as the last one; others keep their order.
func WithLast(s *Service, list string, ours []Endpoint, address string) string {
	text := s.Raw(list)
	if s.has(s.Get(list), ours) && !s.has(text, ours) {
		text = s.Get(list) // it comes by a $name, which can't be moved
	}
	var kept []string
	for _, entry := range entries(text) {
		for _, m := range Milters(entry) {
			if !s.reachesAny(m.Address, ours) {
				kept = append(kept, entry)
			} else if len(m.Options) > 0 {
				address = entry
			}
		}
	}
	return strings.Join(append(kept, address), ", ")
}

func (s *Service) has(list string, ours []Endpoint) bool {
	return slices.ContainsFunc(Milters(list), func(m Milter) bool { return s.reachesAny(m.Address, ours) })
}

func (s *Service) reachesAny(address string, ours []Endpoint) bool {
	for _, e := range ours {
		if s.Reaches(address, e) {
			return true
		}
	}
	return false
}

// Raw returns a parameter's value in this service as it is written, with $names.
func (s *Service) Raw(name string) string {
	if v, ok := s.raw[name]; ok {
		return v
	}
	return s.config.raw[name]
}

// Socket is where the socket of a milter lies; "" when it has none.
func (s *Service) Socket(address string) string {
	kind, rest, _ := strings.Cut(address, ":")
	if kind != "unix" && kind != "local" {
		return ""
	}
	return s.path(rest)
}
