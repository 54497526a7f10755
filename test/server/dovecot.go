package server

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
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
	dir := publicDir(t)
	addr := FreeAddr(t)
	host, port, _ := net.SplitHostPort(addr)
	conf := dovecotBase(dir) + fmt.Sprintf(`protocols =
ssl = no
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
	writeAll(t, dir, map[string]string{"dovecot.conf": conf, "users": users})
	stop, _ := runDovecot(t, dir, addr)
	t.Cleanup(stop)
	return "smtpd_sasl_auth_enable = yes\nsmtpd_sasl_type = dovecot\nsmtpd_sasl_path = inet:" + addr +
		"\nsmtpd_recipient_restrictions = permit_sasl_authenticated, permit_mynetworks, reject\n"
}

// Mailboxes is a private Dovecot with real mailboxes, to which Postfix delivers by LMTP. Its users log in with
// Password, and Master's password opens everybody's.
type Mailboxes struct {
	IMAP, IMAPS, POP3, LMTP string // 127.0.0.1:port
	Master                  string // user name
	MasterPassword          string // file
	CA                      string // file: who vouches for its certificate
	dir                     string
	t                       testing.TB
	stop, kill              func()
}

// StartMailboxes starts a Dovecot with a mailbox for every address. More lines may be added to its configuration.
func StartMailboxes(t testing.TB, more ...string) *Mailboxes {
	t.Helper()
	m := &Mailboxes{IMAP: FreeAddr(t), IMAPS: FreeAddr(t), POP3: FreeAddr(t), LMTP: FreeAddr(t), Master: "recall",
		dir: publicDir(t), t: t}
	m.MasterPassword, m.CA = filepath.Join(m.dir, "password"), filepath.Join(m.dir, "cert.pem")
	certificate(t, m.CA, filepath.Join(m.dir, "key.pem"))
	mail := filepath.Join(m.dir, "mail")
	if err := errors.Join(os.Mkdir(mail, 0o777), os.Chmod(mail, 0o777)); err != nil {
		t.Fatal(err)
	}
	conf := dovecotBase(m.dir) + fmt.Sprintf(`protocols = imap pop3 lmtp
ssl = yes
ssl_cert = <%[1]s/cert.pem
ssl_key = <%[1]s/key.pem
auth_master_user_separator = *
mail_location = maildir:~/Maildir
first_valid_uid = 1
lda_mailbox_autocreate = yes
mail_plugins =
passdb {
  driver = passwd-file
  master = yes
  args = %[1]s/masters
}
passdb {
  driver = static
  args = password=%[2]s
}
userdb {
  driver = static
  args = uid=nobody gid=nogroup home=%[1]s/mail/%%Lu
}
namespace inbox {
  inbox = yes
  mailbox Trash {
    special_use = \Trash
    auto = create
  }
}
service imap-login {
  %[3]s
}
service pop3-login {
  %[4]s
}
service lmtp {
  %[5]s
}
`, m.dir, Password, listener("imap", m.IMAP)+"\n"+listener("imaps", m.IMAPS),
		listener("pop3", m.POP3)+"\n"+noListener("pop3s"), listener("lmtp", m.LMTP)) +
		strings.Join(more, "\n") + "\n"
	writeAll(t, m.dir, map[string]string{"dovecot.conf": conf, "masters": m.Master + ":{PLAIN}master-secret\n",
		"password": "master-secret\n"})
	if err := os.Chmod(m.MasterPassword, 0o600); err != nil {
		t.Fatal(err)
	}
	m.Start()
	t.Cleanup(func() { m.Stop() })
	return m
}

// Stop ends it; its mailboxes stay.
func (m *Mailboxes) Stop() {
	if m.stop != nil {
		m.stop()
	}
	m.stop = nil
}

// Kill ends all its processes at once, as a power loss does.
func (m *Mailboxes) Kill() { m.kill(); m.stop = nil }

// Start starts it again.
func (m *Mailboxes) Start() {
	m.t.Helper()
	m.stop, m.kill = runDovecot(m.t, m.dir, m.IMAP)
}

// Log is what Dovecot has logged.
func (m *Mailboxes) Log() string {
	text, _ := os.ReadFile(filepath.Join(m.dir, "log"))
	return string(text)
}

func listener(name, addr string) string {
	host, port, _ := net.SplitHostPort(addr)
	tls := map[bool]string{true: "\n    ssl = yes"}[strings.HasSuffix(name, "s")]
	return fmt.Sprintf("inet_listener %s {\n    address = %s\n    port = %s%s\n  }", name, host, port, tls)
}

func noListener(name string) string { return "  inet_listener " + name + " {\n    port = 0\n  }" }

// dovecotBase is what every private Dovecot needs.
func dovecotBase(dir string) string {
	return fmt.Sprintf(`base_dir = %[1]s/run
state_dir = %[1]s/state
log_path = %[1]s/log
disable_plaintext_auth = no
auth_mechanisms = plain login
auth_failure_delay = 0
mail_max_userip_connections = 1000
`, dir)
}

// publicDir is a folder that Dovecot's own users can read; t.TempDir is closed to them.
func publicDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "dovecot")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

func writeAll(t testing.TB, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// certificate makes a certificate of 127.0.0.1 that vouches for itself.
func certificate(t testing.TB, certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true,
		BasicConstraintsValid: true,
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, &c, &c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	writeAll(t, "", map[string]string{certFile: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		keyFile: string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}))})
}

// runDovecot starts it and returns what ends it, and what kills it.
func runDovecot(t testing.TB, dir, addr string) (stop, kill func()) {
	t.Helper()
	c := exec.Command(Program(t, "dovecot"), "-F", "-c", filepath.Join(dir, "dovecot.conf"))
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := c.Start(); err != nil {
		t.Fatalf("dovecot does not start: %v", err)
	}
	Eventually(t, "dovecot answers at "+addr, func() bool {
		conn, err := net.DialTimeout("tcp", addr, time.Second)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
	stop = func() {
		c.Process.Signal(syscall.SIGTERM)
		c.Wait()
		endGroup(t, c.Process.Pid) // what the master left
	}
	return stop, func() { c.Process.Kill(); c.Wait(); endGroup(t, c.Process.Pid) }
}
