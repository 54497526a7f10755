package postfix

import (
	"net"
	"strings"
)

// LeadsTo says whether one of the next hops in a value or in the text of a table is an endpoint. Next hops are written
// as "smtp:[127.0.0.1]:10026", "[::1]:10026", "lmtp:unix:/run/x" or "inet:host:port".
func LeadsTo(value string, at Endpoint) bool {
	for _, hop := range hops(value) {
		if at.Network == "unix" {
			if strings.HasSuffix(hop, "unix:"+at.Address) {
				return true
			}
			continue
		}
		if to := nextHop(hop); to != "" && SameHostPort(to, at.Address) {
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

// hops divides a value, or the text of a table, at what no next hop has in it.
func hops(value string) []string {
	return strings.FieldsFunc(value, func(c rune) bool { return strings.ContainsRune(", \t\r\n{}=", c) })
}
