package authenticate

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/recall-milter/recall-milter/test/server"
	"github.com/recall-milter/recall-milter/test/signing"
)

// domains of the test, by what is special about their key records; %s is the key.
var keyRecords = map[string]string{
	"p.test":       "v=DKIM1; k=rsa; p=%s",
	"sub.p.test":   "v=DKIM1; k=rsa; p=%s",
	"tab.test":     "v=DKIM1; k=rsa; p=\t%s \t",
	"short.test":   "p=%s",
	"empty.test":   "v=DKIM1;; k=rsa; p=%s;;",
	"exact.test":   "v=DKIM1; t=y:s; p=%s",
	"sha1.test":    "v=DKIM1; h=sha1; p=%s",
	"other.test":   "v=DKIM1; s=tlsrpt; p=%s",
	"any.test":     "v=DKIM1; s=*; h=sha1:sha256; p=%s",
	"cased.test":   "v=DKIM1; k=RSA; h=SHA256; s=Email; p=%s",
	"shared.test":  "v=DKIM1; p=%s",
	"two.test":     "v=DKIM1; p=%s",
	"dkim2.test":   "v=DKIM2; p=%s",
	"ed.test":      "v=DKIM1; k=ed25519; p=%s",
	"revoked.test": "v=DKIM1; p=",
}

type signer struct {
	v   *Verifier
	dns *server.DNS
	key map[string]crypto.Signer // by k=
}

func newSigner(t *testing.T) signer {
	t.Helper()
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(private.Public())
	if err != nil {
		t.Fatal(err)
	}
	ed := ed25519.NewKeyFromSeed([]byte("a seed of 32 bytes for this test"))
	s := signer{dns: server.StartDNS(t), key: map[string]crypto.Signer{"rsa": private, "ed25519": ed}}
	for domain, record := range keyRecords {
		p := base64.StdEncoding.EncodeToString(public)
		if strings.Contains(record, "ed25519") {
			p = base64.StdEncoding.EncodeToString(ed.Public().(ed25519.PublicKey))
		}
		if domain == "tab.test" {
			p = p[:60] + "\t" + p[60:]
		}
		record = strings.Replace(record, "%s", p, 1)
		txt := &dns.TXT{Hdr: dns.RR_Header{Name: "s1._domainkey." + domain + ".", Rrtype: dns.TypeTXT, Class: dns.ClassINET}}
		for ; len(record) > 250; record = record[250:] {
			txt.Txt = append(txt.Txt, record[:250])
		}
		txt.Txt = append(txt.Txt, record)
		s.dns.AddRR(txt)
	}
	for _, more := range []string{`shared.test. TXT "v=spf1 -all"`, `two.test. TXT "v=DKIM1; p=abcd"`} {
		s.dns.Add(t, "s1._domainkey."+more)
	}
	s.dns.Fail("s1._domainkey.away.test")
	s.v = New(NewResolver(s.dns.Addr), Options{Methods: []string{"dkim"}})
	return s
}

// TestSignatures has what signers write and what forgers try. dkimpy or OpenDKIM accepts each genuine one as well.
func TestSignatures(t *testing.T) {
	t.Parallel()
	s := newSigner(t)
	now := time.Now().Unix()
	for _, c := range []struct{ name, domain, before, behind, want string }{
		{"plain", "p.test", "", "", Pass},
		{"z= with b= in it", "p.test", "z=Subject:job=20list|X:web=20site|Y:b=abc;", "", Pass},
		{"z= with b= behind b=", "p.test", "", "z=X:web=20site|Y:b=abc", Pass},
		{"a tag that ends in b", "p.test", "xb=abc; ab = def;", "", Pass},
		{"a tag that ends in b behind b=", "p.test", "", "xb=abc; bb=x;", Pass},
		{"i= in another case", "p.test", "i=@P.Test;", "", Pass},
		{"i= of a subdomain", "p.test", "i=anna=3Bx@Mail.p.test;", "", Pass},
		{"i= of another domain", "p.test", "i=@xp.test;", "", PermError},
		{"i= without an at sign", "p.test", "i=p.test;", "", PermError},
		{"i= of the very domain, t=s", "exact.test", "i=x@exact.test;", "", Pass},
		{"i= of a subdomain, t=s", "exact.test", "i=x@mail.exact.test;", "", PermError},
		{"no i=, t=s", "exact.test", "", "", Pass},
		{"tabs and blanks in p=", "tab.test", "", "", Pass},
		{"a key record of p= only", "short.test", "", "", Pass},
		{"a key record with empty places", "empty.test", "", "", Pass},
		{"a key for any service", "any.test", "", "", Pass},
		{"a key in another case", "cased.test", "", "", Pass},
		{"a key next to another record", "shared.test", "", "", Pass},
		{"two keys", "two.test", "", "", PermError},
		{"a key for another hash", "sha1.test", "", "", PermError},
		{"a key for another service", "other.test", "", "", PermError},
		{"a key of another version", "dkim2.test", "", "", PermError},
		{"a key that was revoked", "revoked.test", "", "", PermError},
		{"no key", "none.test", "", "", PermError},
		{"a key of another kind", "ed.test", "", "", PermError},
		{"a key that can't be asked for", "away.test", "", "", TempError},
		{"expired", "p.test", fmt.Sprintf("t=%d; x=%d;", now-200, now-100), "", PermError},
		{"not expired", "p.test", fmt.Sprintf("t=%d; x=%d;", now-200, now+1000), "", Pass},
		{"expires before it begins", "p.test", fmt.Sprintf("t=%d; x=%d;", now+2000, now+1000), "", PermError},
		{"t= is not a number", "p.test", "t=soon;", "", PermError},
		{"q= of DNS", "p.test", "q=dns/txt;", "", Pass},
		{"q= of something and DNS", "p.test", "q=http:dns/txt;", "", Pass},
		{"q= of something", "p.test", "q=http;", "", PermError},
		{"l=", "p.test", "l=4;", "", Fail},
		{"a tag twice", "p.test", "i=@p.test; i=@p.test;", "", PermError},
		{"unknown tags", "p.test", "foo=bar; r=y;", "", Pass},
	} {
		text := "From: anna@" + c.domain + "\r\nSubject: x\r\n\r\nbody\r\n"
		text = signing.Tagged(text, c.domain, s.key["rsa"], "From:Subject", c.before, c.behind)
		m := parted(text)
		m.From, m.Cover = c.domain, []string{"Subject"}
		e := s.v.Check(context.Background(), m)
		if len(e.DKIM) != 1 || e.DKIM[0].Result != c.want ||
			e.Aligned != (c.want == Pass) || e.Temporary != (c.want == TempError) {
			t.Errorf("%s: %+v, want %s", c.name, e, c.want)
		}
	}
	text := "From: anna@ed.test\r\nSubject: x\r\n\r\nbody\r\n"
	text = signing.Tagged(text, "ed.test", s.key["ed25519"], "From:Subject", "", "")
	m := parted(text)
	m.From = "ed.test"
	if e := s.v.Check(context.Background(), m); !e.Aligned {
		t.Errorf("Ed25519: %+v", e)
	}
}

// TestManySignatures looks at those of From's organisation first, and says how many it has left.
func TestManySignatures(t *testing.T) {
	t.Parallel()
	s := newSigner(t)
	const mail = "From: anna@p.test\r\nSubject: x\r\n\r\nbody\r\n"
	genuine := signing.Tagged(mail, "p.test", s.key["rsa"], "From:Subject", "", "")
	foreign := strings.Split(signing.Tagged(mail, "any.test", s.key["rsa"], "From:Subject", "", ""), "\r\n")[0] + "\r\n"
	forged := strings.Replace(strings.Split(genuine, "\r\n")[0], " b=", " b=AAAA", 1) + "\r\n"
	for _, c := range []struct {
		name, above string
		aligned     bool
		unseen      int
	}{
		{"one", "", true, 0},
		{"five of others", strings.Repeat(foreign, 5), true, 1},
		{"forty of others", strings.Repeat(foreign, 40), true, 36},
		{"four that are forged", strings.Repeat(forged, 4), true, 0},
		{"five that are forged", strings.Repeat(forged, 5), false, 1},
		{"very many", strings.Repeat("DKIM-Signature: x\r\n", 1000), false, 996},
	} {
		m := parted(c.above + genuine)
		m.From = "p.test"
		e := s.v.Check(context.Background(), m)
		says := fmt.Sprintf("%d DKIM signatures were not looked at", c.unseen)
		if e.Aligned != c.aligned || e.Unseen != c.unseen || strings.Contains(e.Why(), says) != (c.unseen > 0) {
			t.Errorf("%s: aligned %v, %d unseen, %s", c.name, e.Aligned, e.Unseen, e.Why())
		}
	}
}
