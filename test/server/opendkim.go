package server

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// OpenDKIM is one private signer.
type OpenDKIM struct {
	Milter string // host:port
	Record string // what DNS says at s1._domainkey.DOMAIN
}

// StartOpenDKIM starts a signer for mail from a domain, with selector s1, simple/simple.
func StartOpenDKIM(t testing.TB, domain string) *OpenDKIM {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "s1.private")
	text := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	o := &OpenDKIM{Milter: FreeAddr(t), Record: "v=DKIM1; k=rsa; p=" + base64.StdEncoding.EncodeToString(public)}
	host, port, _ := net.SplitHostPort(o.Milter)
	conf := filepath.Join(dir, "opendkim.conf")
	settings := fmt.Sprintf("Domain %s\nSelector s1\nKeyFile %s\nMode s\nCanonicalization simple/simple\nRequireSafeKeys no\nInternalHosts 127.0.0.1\nSocket inet:%s@%s\nSyslog no\n", domain, file, port, host)
	if err := os.WriteFile(conf, []byte(settings), 0o600); err != nil {
		t.Fatal(err)
	}
	c := exec.Command(Program(t, "opendkim"), "-f", "-x", conf)
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Process.Kill(); c.Wait() })
	Eventually(t, "opendkim listens", func() bool {
		conn, err := net.DialTimeout("tcp", o.Milter, time.Second)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
	return o
}
