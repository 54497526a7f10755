package server

import (
	"encoding/hex"
	"fmt"
	"net"
	"path/filepath"
	"testing"
)

// StartClamAV starts a virus scanner that knows one virus, this text, and returns its host:port.
func StartClamAV(t testing.TB, virus string) string {
	t.Helper()
	dir, addr := t.TempDir(), FreeAddr(t)
	host, port, _ := net.SplitHostPort(addr)
	write(t, filepath.Join(dir, "test.ndb"), "Test.Virus:0:*:"+hex.EncodeToString([]byte(virus))+"\n")
	conf := filepath.Join(dir, "clamd.conf")
	write(t, conf, fmt.Sprintf("DatabaseDirectory %s\nTCPAddr %s\nTCPSocket %s\nForeground yes\nUser root\n", dir, host,
		port))
	startListener(t, addr, "clamd", "--config-file="+conf)
	return addr
}
