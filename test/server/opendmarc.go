package server

import (
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"testing"
)

// StartOpenDMARC starts an OpenDMARC that believes the DKIM results of another authserv-id, writes its own in the name of
// authservID, and returns its host:port. It asks only the name servers of the system, so what DNS says is in its
// settings: policies are domains and their DMARC records.
func StartOpenDMARC(t testing.TB, authservID, trusted string, policies map[string]string) string {
	t.Helper()
	dir, addr := t.TempDir(), FreeAddr(t)
	host, port, _ := net.SplitHostPort(addr)
	var records strings.Builder
	for domain, policy := range policies {
		fmt.Fprintf(&records, "_dmarc.%s %s\n", domain, policy)
	}
	data, conf := filepath.Join(dir, "dns"), filepath.Join(dir, "opendmarc.conf")
	write(t, data, records.String())
	write(t, conf, fmt.Sprintf("AuthservID %s\nTrustedAuthservIDs %s\nTestDNSData %s\nSocket inet:%s@%s\nBackground no\nSyslog no\n",
		authservID, trusted, data, port, host))
	startListener(t, addr, "opendmarc", "-f", "-c", conf)
	return addr
}
