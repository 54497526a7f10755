package server

import (
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"testing"
)

// StartOpenDMARC starts an OpenDMARC and returns its host:port. It can't ask a name server of the test's own, only those of
// the system, so it does not check SPF, and policies are what DNS says: domains and their DMARC records. settings are its
// file, as far as a site writes it.
func StartOpenDMARC(t testing.TB, policies map[string]string, settings string) string {
	t.Helper()
	dir, addr := t.TempDir(), FreeAddr(t)
	host, port, _ := net.SplitHostPort(addr)
	var records strings.Builder
	for domain, policy := range policies {
		fmt.Fprintf(&records, "_dmarc.%s %s\n", domain, policy)
	}
	data, conf := filepath.Join(dir, "dns"), filepath.Join(dir, "opendmarc.conf")
	write(t, data, records.String())
	settings = strings.Replace(settings, "SPFSelfValidate     true", "", 1)
	write(t, conf, fmt.Sprintf("%s\nTestDNSData %s\nSocket inet:%s@%s\nBackground no\nSyslog no\n", settings, data, port, host))
	startListener(t, addr, "opendmarc", "-f", "-c", conf)
	return addr
}
