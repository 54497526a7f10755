package server

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Password is that of every login.
const Password = "secret"

// StartLogins starts a private Dovecot that knows these logins, and returns the main.cf lines with which Postfix asks
// it.
func StartLogins(t testing.TB, logins ...string) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "dovecot") // t.TempDir is closed to Dovecot's own users
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	addr := FreeAddr(t)
	host, port, _ := net.SplitHostPort(addr)
	conf := fmt.Sprintf(`base_dir = %[1]s/run
state_dir = %[1]s/state
log_path = %[1]s/log
protocols =
ssl = no
disable_plaintext_auth = no
auth_mechanisms = plain login
auth_failure_delay = 0
passdb {
  driver = passwd-file
  args = scheme=PLAIN username_format=%%u %[1]s/users
}
userdb {
  driver = static
  args = uid=nobody gid=nogroup home=%[1]s
}
service auth {
  inet_listener {
    address = %[2]s
    port = %[3]s
  }
}
`, dir, host, port)
	users := strings.Join(logins, ":"+Password+"\n") + ":" + Password + "\n"
	for name, text := range map[string]string{"dovecot.conf": conf, "users": users} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	startDovecot(t, dir, addr)
	return "smtpd_sasl_auth_enable = yes\nsmtpd_sasl_type = dovecot\nsmtpd_sasl_path = inet:" + addr +
		"\nsmtpd_recipient_restrictions = permit_sasl_authenticated, permit_mynetworks, reject\n"
}

func startDovecot(t testing.TB, dir, addr string) {
	t.Helper()
	c := exec.Command(Program(t, "dovecot"), "-F", "-c", filepath.Join(dir, "dovecot.conf"))
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := c.Start(); err != nil {
		t.Fatalf("dovecot does not start: %v", err)
	}
	t.Cleanup(func() {
		c.Process.Signal(syscall.SIGTERM)
		c.Wait()
		syscall.Kill(-c.Process.Pid, syscall.SIGKILL) // what the master left
	})
	Eventually(t, "dovecot answers at "+addr, func() bool {
		conn, err := net.DialTimeout("tcp", addr, time.Second)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
}
