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
	conf := dovecotBase(t, dir) + fmt.Sprintf(worded(t, logins23, logins24), dir) +
		fmt.Sprintf("service auth {\n  %s\n}\n", listener(t, "tests", addr))
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
	conf := dovecotBase(t, m.dir) + fmt.Sprintf(worded(t, mailboxes23, mailboxes24), m.dir, Password) +
		fmt.Sprintf("service imap-login {\n  %s\n}\nservice pop3-login {\n  %s\n}\nservice lmtp {\n  %s\n}\n%s\n",
			listener(t, "imap", m.IMAP)+"\n"+listener(t, "imaps", m.IMAPS), listener(t, "pop3", m.POP3)+"\n"+
				noListener("pop3s"), listener(t, "lmtp", m.LMTP), strings.Join(more, "\n"))
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
