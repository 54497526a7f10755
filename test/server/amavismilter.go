package server

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// StartAmavisMilter starts amavisd-milter with an amavis of its own, and returns its host:port.
func StartAmavisMilter(t testing.TB, s SpamAssassin) string {
	t.Helper()
	addr, dir := FreeAddr(t), openDir(t, "amavisd-milter")
	work := filepath.Join(dir, "work")
	own(t, "amavis", work)
	if err := os.Chmod(work, 0o700); err != nil { // amavisd-milter takes no other
		t.Fatal(err)
	}
	StartAmavis(t, "127.0.0.1:1", s, fmt.Sprintf(`$TEMPBASE = '%[1]s'; # else it refuses what is there
$unix_socketname = '%[1]s/amavis.sock';
$interface_policy{'SOCK'} = 'AM.PDP-SOCK';
$policy_bank{'AM.PDP-SOCK'} = { protocol => 'AM.PDP' };
$max_servers = 2;
`, work))
	host, number, _ := net.SplitHostPort(addr)
	c := exec.Command(Program(t, "amavisd-milter"), "-f", "-s", "inet:"+number+"@"+host,
		"-S", filepath.Join(work, "amavis.sock"), "-w", work, "-p", filepath.Join(work, "pid"))
	c.SysProcAttr = &syscall.SysProcAttr{Credential: credential(t, "amavis")} // amavis reads its files
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Process.Kill(); c.Wait() })
	awaitPort(t, "amavisd-milter", addr)
	return addr
}

// awaitPort waits until a program takes connections.
func awaitPort(t testing.TB, program, addr string) {
	t.Helper()
	Eventually(t, program+" listens", func() bool {
		conn, err := net.DialTimeout("tcp", addr, time.Second)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
}
