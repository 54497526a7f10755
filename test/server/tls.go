package server

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Certificates are the files of an authority and of a server that it knows by some names.
type Certificates struct{ CA, Cert, Key string }

// TLS is how servers are started that talk to each other and to clients by TLS. Each has a port without it too, for the
// test itself.
type TLS struct {
	Certificates
	Settings []string // lines of redis.conf, besides those for ports and files
	Host     string   // by which servers announce themselves; empty: their addresses
}

// hosted is an address with the name of its host.
func (s *TLS) hosted(addr string) string {
	if s == nil || s.Host == "" {
		return addr
	}
	_, port, _ := net.SplitHostPort(addr)
	return net.JoinHostPort(s.Host, port)
}

// lines are those of redis.conf for a server that has TLS at this address.
func (s *TLS) lines(addr string) []string {
	_, port, _ := net.SplitHostPort(addr)
	return append([]string{"tls-port " + port, "tls-cert-file " + s.Cert, "tls-key-file " + s.Key, "tls-ca-cert-file " +
		s.CA}, s.Settings...)
}

// MakeCertificates makes an authority, and a certificate for a server of these names and IP addresses.
func MakeCertificates(t testing.TB, names ...string) Certificates {
	t.Helper()
	dir := t.TempDir()
	c := Certificates{filepath.Join(dir, "ca.pem"), filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")}
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority of a test"},
		IsCA:                  true,
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour)}
	authority, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	write := func(file, kind string, der []byte, err error) {
		must(err)
		must(os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, authority.Public(), authority)
	write(c.CA, "CERTIFICATE", der, err)
	leaf := &x509.Certificate{SerialNumber: big.NewInt(2), NotBefore: template.NotBefore, NotAfter: template.NotAfter}
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			leaf.IPAddresses = append(leaf.IPAddresses, ip)
		} else {
			leaf.DNSNames = append(leaf.DNSNames, name)
		}
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	der, err = x509.CreateCertificate(rand.Reader, leaf, template, key.Public(), authority)
	write(c.Cert, "CERTIFICATE", der, err)
	der, err = x509.MarshalECPrivateKey(key)
	write(c.Key, "EC PRIVATE KEY", der, err)
	return c
}
