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
	"strings"
	"testing"
)

// OpenDKIM is one private signer.
type OpenDKIM struct {
	Milter string // host:port
	Record string // what DNS says at s1._domainkey.DOMAIN
}

// StartOpenDKIM starts a signer for mail from a domain, with selector s1, simple/simple. More lines may be added to its
// configuration.
func StartOpenDKIM(t testing.TB, domain string, more ...string) *OpenDKIM {
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
	settings := fmt.Sprintf("Domain %s\nSelector s1\nKeyFile %s\nMode s\nCanonicalization "+
		"simple/simple\nRequireSafeKeys no\nInternalHosts 127.0.0.1\nSocket inet:%s@%s\nSyslog no\n", domain, file, port,
		host) + strings.Join(more, "\n") + "\n"
	if err := os.WriteFile(conf, []byte(settings), 0o600); err != nil {
		t.Fatal(err)
	}
	startListener(t, o.Milter, "opendkim", "-f", "-x", conf)
	return o
}

// StartOpenDKIMVerifier starts a verifier that asks a name server, and returns its host:port. settings are its file, as
// far as a site writes it.
func StartOpenDKIMVerifier(t testing.TB, d *DNS, settings string) string {
	t.Helper()
	dir, addr := t.TempDir(), FreeAddr(t)
	host, port, _ := net.SplitHostPort(addr)
	name, number, _ := net.SplitHostPort(d.Addr)
	resolver, conf := filepath.Join(dir, "unbound.conf"), filepath.Join(dir, "opendkim.conf")
	write(t, resolver, fmt.Sprintf("server:\n  do-not-query-localhost: no\n  module-config: iterator\n  local-zone: "+
		"\"test.\" nodefault\nforward-zone:\n  name: \".\"\n  forward-addr: %s@%s\n", name, number))
	write(t, conf, fmt.Sprintf("%s\nMode v\nResolverConfiguration %s\nSocket inet:%s@%s\nSyslog no\n", settings, resolver,
		port, host))
	startListener(t, addr, "opendkim", "-f", "-x", conf)
	return addr
}

func write(t testing.TB, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// startListener runs a program until the test ends, and waits until its port answers.
func startListener(t testing.TB, addr, program string, args ...string) {
	t.Helper()
	c := exec.Command(Program(t, program), args...)
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Process.Kill(); c.Wait() })
	awaitPort(t, program, addr)
}
