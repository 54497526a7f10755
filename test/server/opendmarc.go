package server

import (
	_ "embed"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// StartOpenDMARC starts an OpenDMARC and returns its host:port. It does not check SPF, and policies are what DNS says:
// domains and their DMARC records. settings are its file, as far as a site writes it.
func StartOpenDMARC(t testing.TB, policies map[string]string, settings string) string {
	t.Helper()
	var records strings.Builder
	for domain, policy := range policies {
		fmt.Fprintf(&records, "_dmarc.%s %s\n", domain, policy)
	}
	data := filepath.Join(t.TempDir(), "dns")
	write(t, data, records.String())
	return startOpenDMARC(t, selfValidate.ReplaceAllString(settings, "")+"\nTestDNSData "+data)
}

var selfValidate = regexp.MustCompile(`(?m)^SPFSelfValidate .*$`)

// StartOpenDMARCWith starts one that asks a name server for policies and SPF.
func StartOpenDMARCWith(t testing.TB, d *DNS, settings string) string {
	t.Helper()
	dir := t.TempDir()
	source, library := filepath.Join(dir, "nameserver.c"), filepath.Join(dir, "nameserver.so")
	write(t, source, nameserver)
	if out, err := exec.Command(Program(t, "gcc"), "-shared", "-fPIC", "-o", library,
		source).CombinedOutput(); err != nil {
		t.Fatalf("gcc: %v\n%s", err, out)
	}
	_, port, _ := net.SplitHostPort(d.Addr)
	return startOpenDMARC(t, settings, "env", "LD_PRELOAD="+library, "NAMESERVER_PORT="+port)
}

// It has no setting for another name server than the system's.
//
//go:embed preload/nameserver.c
var nameserver string

// startOpenDMARC starts one by a program that runs it, if any.
func startOpenDMARC(t testing.TB, settings string, by ...string) string {
	t.Helper()
	addr, conf := FreeAddr(t), filepath.Join(t.TempDir(), "opendmarc.conf")
	host, port, _ := net.SplitHostPort(addr)
	write(t, conf, fmt.Sprintf("%s\nSocket inet:%s@%s\nBackground no\nSyslog no\n", settings, port, host))
	command := append(by, Program(t, "opendmarc"), "-f", "-c", conf)
	startListener(t, addr, command[0], command[1:]...)
	return addr
}
