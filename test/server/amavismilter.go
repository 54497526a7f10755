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
	asked, addr, dir := FreeAddr(t), FreeAddr(t), openDir(t, "amavisd-milter")
	_, port, _ := net.SplitHostPort(asked)
	StartAmavis(t, "127.0.0.1:1", s, fmt.Sprintf(`$inet_socket_port = [$inet_socket_port, %[1]s];
$interface_policy{'%[1]s'} = 'AM.PDP-INET';
$policy_bank{'AM.PDP-INET'} = { protocol => 'AM.PDP' };
$max_servers = 2;
`, port))
	own(t, "amavis", filepath.Join(dir, "work"))
	if err := os.Chmod(filepath.Join(dir, "work"), 0o700); err != nil { // it takes no other
		t.Fatal(err)
	}
	host, number, _ := net.SplitHostPort(addr)
	c := exec.Command(Program(t, "amavisd-milter"), "-f", "-s", "inet:"+number+"@"+host, "-S", "inet:"+port+"@127.0.0.1",
		"-w", filepath.Join(dir, "work"), "-p", filepath.Join(dir, "work/pid"))
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
