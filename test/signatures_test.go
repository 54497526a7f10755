package test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-msgauth/dkim"
	"github.com/miekg/dns"

	"github.com/recall-milter/recall-milter/test/server"
	"github.com/recall-milter/recall-milter/test/signing"
)

// rsaKey is a key, and what p= says of it.
func rsaKey(t *testing.T) (private *rsa.PrivateKey, p string) {
	t.Helper()
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(private.Public())
	if err != nil {
		t.Fatal(err)
	}
	return private, base64.StdEncoding.EncodeToString(public)
}

// signedAs is one way to sign a mail of partner.test; %s in record is the key.
type signedAs struct {
	record string
	sign   func(mail, selector string) string
}

// waysToSign are those that OpenDKIM accepts.
func waysToSign(key crypto.Signer) map[string]signedAs {
	const record, names = "v=DKIM1; k=rsa; p=%s", "From:Subject:Date"
	field := func(field, names string, fold func(string) string) func(string, string) string {
		return func(mail, selector string) string {
			field := strings.NewReplacer("SEL", selector, "NAMES", names).Replace(field)
			return signing.Written(mail, key, strings.NewReplacer(" ", "", "\r\n", "", "\t", "").Replace(names), field, fold)
		}
	}
	same := func(s string) string { return s }
	const plain = "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=partner.test; s=SEL; h=NAMES; bh=BH; b=B"
	with := func(old, new string) signedAs {
		return signedAs{record, field(strings.Replace(plain, old, new, 1), names, same)}
	}
	library := func(edit func(*dkim.SignOptions)) signedAs {
		return signedAs{record, func(mail, selector string) string {
			o := &dkim.SignOptions{Domain: "partner.test", Selector: selector, Signer: key,
				HeaderKeys: []string{"From", "Subject", "Date"}}
			edit(o)
			var b strings.Builder
			if err := dkim.Sign(&b, strings.NewReader(mail), o); err != nil {
				panic(err)
			}
			return b.String()
		}}
	}
	canonical := func(head, body dkim.Canonicalization) signedAs {
		return library(func(o *dkim.SignOptions) { o.HeaderCanonicalization, o.BodyCanonicalization = head, body })
	}
	of := func(record string) signedAs { return signedAs{record, field(plain, names, same)} }
	now := time.Now().Unix()
	return map[string]signedAs{
		"plain":                    of(record),
		"simple, simple":           canonical("simple", "simple"),
		"simple, relaxed":          canonical("simple", "relaxed"),
		"relaxed, simple":          canonical("relaxed", "simple"),
		"c= in another case":       with("c=relaxed/relaxed", "c=Relaxed/RELAXED"),
		"a= in another case":       with("a=rsa-sha256", "a=RSA-SHA256"),
		"d= in another case":       with("d=partner.test", "d=Partner.TEST"),
		"i= of a subdomain":        with("b=B", "i=anna@mail.partner.test; b=B"),
		"i= in quoted-printable":   with("b=B", "i==41nna@partner.test; b=B"),
		"h= with blanks":           {record, field(plain, "From : Subject\r\n\t: Date", same)},
		"h= in lower case":         {record, field(plain, "from:subject:date", same)},
		"h= with fields not there": {record, field(plain, "From:Subject:Date:Reply-To:List-Id", same)},
		"bh= and b= folded": {record, field(plain, names,
			func(s string) string { return s[:20] + "\r\n\t " + s[20:] })},
		"blanks around =":           with("v=1; a=rsa-sha256;", "v = 1 ; a = rsa-sha256 ;"),
		"tags without blanks":       {record, field(strings.ReplaceAll(plain, "; ", ";"), names, same)},
		"not expired yet":           with("b=B", fmt.Sprintf("t=%d; x=%d; b=B", now, now+1000)),
		"a copy of all fields":      with("b=B", "z=From:x|Subject:b=3Dx|X:bh=abc; b=B"),
		"tags behind b=":            with("b=B", "b=B; z=Subject:b=x; r=y;"),
		"tags of the future":        with("b=B", "xa=abc; r=y; atps=x.test; atpsh=sha256; b=B"),
		"a key for a hash":          of("v=DKIM1; h=sha1 : SHA256; p=%s"),
		"a key for a service":       of("v=DKIM1; s=tlsrpt : email; p=%s"),
		"a key of a kind":           of("v=DKIM1; k=RSA; p=%s"),
		"a key that is tried":       of("v=DKIM1; t=y; n=soon; p=%s"),
		"a key for the very domain": of("v=DKIM1; t=y : s; p=%s"),
		"a key without a version":   of("p=%s"),
		"a key behind another tag":  of("p=%s; k=rsa; foo=bar;"),
	}
}

// TestSignaturesAsSignersWriteThemAreBelieved recalls one message by mails that are signed in many ways.
func TestSignaturesAsSignersWriteThemAreBelieved(t *testing.T) {
	t.Parallel()
	f := startFrontier(t, "[inbound.recall]\nrate = \"1000/h\"\n")
	f.original("o@partner.test", "the price list", insider)
	key, p := rsaKey(t)
	n := 0
	for name, way := range waysToSign(key) {
		n++
		selector := fmt.Sprintf("s%d.a.b", n)
		record := strings.Replace(way.record, "%s", p, 1)
		f.dns.AddRR(&dns.TXT{Hdr: dns.RR_Header{Name: selector + "._domainkey.partner.test.", Rrtype: dns.TypeTXT,
			Class: dns.ClassINET}, Txt: []string{record[:100], record[100:250], record[250:]}})
		id := fmt.Sprintf("<r%d@partner.test>", n)
		mail := way.sign(strings.Replace(formB("the price list"), "<0a1b2c3d@mbx.corp.test>", id, 1), selector)
		if ok, says := server.OpenDKIMAccepts(t, map[string]string{selector + "._domainkey.partner.test": record},
			mail); !ok {
			t.Errorf("%s: OpenDKIM does not accept it: %s\n%s", name, says, mail)
		}
		if err := f.comesIn(partnerFrom, insider, mail); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := f.arriving(id); !strings.Contains(got, "X-Recall-Policy: pass; reason=aligned") {
			t.Errorf("%s:\n%.900s", name, got)
		}
	}
}
