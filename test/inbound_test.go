package test

import (
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"net/smtp"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-msgauth/dkim"

	"github.com/recall-milter/recall-milter/test/outlook"
	"github.com/recall-milter/recall-milter/test/server"
)

// frontier is a gateway to which mail comes in, and a partner far away whose mail is signed.
type frontier struct {
	*gateway
	dns *server.DNS
	key ed25519.PrivateKey
}

const partnerFrom, insider = "anna@partner.test", "bert@corp.test"

func startFrontier(t *testing.T, settings string) *frontier {
	t.Helper()
	return kind(withPostfix).frontier(t, settings)
}

func (k kind) frontier(t *testing.T, settings string) *frontier {
	t.Helper()
	return startFrontierWith(t, settings, func(_ *server.DNS, milter, nextHop string) mta {
		return withPostfix(t, milter, nextHop)
	})
}

// startFrontierWith starts one with the MTA that start starts.
func startFrontierWith(t *testing.T, settings string, start func(d *server.DNS, milter, nextHop string) mta) *frontier {
	t.Helper()
	key := ed25519.NewKeyFromSeed([]byte("a seed of 32 bytes for this test"))
	record := dkimRecord(key)
	d := server.StartDNS(t, `partner.test. TXT "v=spf1 -all"`, `_dmarc.partner.test. TXT "v=DMARC1; p=reject"`,
		`s1._domainkey.partner.test. TXT "`+record+`"`, `s1._domainkey.evil.test. TXT "`+record+`"`,
		`evil.test. TXT "v=spf1 ip4:127.0.0.1 -all"`)
	d.Fail("s1._domainkey.away.test")
	f := &frontier{startGatewayWith(t, "1h", func(milter, nextHop string) mta { return start(d, milter, nextHop) }), d,
		key}
	f.configure(fmt.Sprintf("[outbound]\nnetworks = []\ndaemon_names = []\n[inbound]\nauthserv_id = "+
		"\"gw.corp.test\"\ndns = %q\n%s", d.Addr, settings))
	return f
}

// remembers says whether so many messages that came in are remembered.
func (f *frontier) remembers(n int) bool {
	return strings.HasSuffix(strings.TrimSpace(f.redis.Do("HGET recall:{mh0}:insum n")), fmt.Sprintf("\n%d", n))
}

// dkimRecord is what DNS says of a key.
func dkimRecord(key ed25519.PrivateKey) string {
	return "v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(key.Public().(ed25519.PublicKey))
}

// signed signs a message as a domain; edit changes the options.
func (f *frontier) signed(domain, message string, edit ...func(*dkim.SignOptions)) string {
	f.t.Helper()
	o := &dkim.SignOptions{Domain: domain, Selector: "s1", Signer: f.key,
		HeaderKeys: []string{"From", "Subject", "Date", "Content-Type"}}
	for _, e := range edit {
		e(o)
	}
	var b strings.Builder
	f.must(dkim.Sign(&b, strings.NewReader(message), o))
	return b.String()
}

// comesIn hands a message over as a stranger does.
func (f *frontier) comesIn(from, to, message string) error {
	return smtp.SendMail(f.mta.smtp, nil, from, []string{to}, []byte(message))
}

// original lets a message of the partner come in, and waits until it is remembered.
func (f *frontier) original(id, subject, to string) {
	f.t.Helper()
	f.must(f.comesIn(partnerFrom, to,
		fmt.Sprintf("From: Anna <%s>\r\nTo: %s\r\nSubject: %s\r\nDate: %s\r\nMessage-ID: <%s>\r\n\r\nbody of %s\r\n",
			partnerFrom, to, subject, earlier(), id, id)))
	server.Eventually(f.t, "it is remembered",
		func() bool { return strings.Contains(f.redis.Do("KEYS recall:{mh0}:in:*"), "in:t:") })
}

// earlier is the date of a message that is recalled: a recall means none that was sent after it.
func earlier() string { return time.Now().Add(-time.Hour).Format(time.RFC1123Z) }

func now() string { return time.Now().Format(time.RFC1123Z) }

// arriving waits for the delivered message that has a text.
func (f *frontier) arriving(text string) (got string) {
	f.t.Helper()
	server.Eventually(f.t, "it arrives: "+text, func() bool {
		for _, d := range f.sink.Got() {
			if strings.Contains(string(d.Data), text) {
				got = string(d.Data)
				return true
			}
		}
		return false
	})
	return got
}

func TestForgedVerdictsAreRemovedFromAllMail(t *testing.T) {
	eachMTA(t, func(t *testing.T, k kind) {
		f := k.frontier(t, "")
		f.must(f.comesIn("x@evil.test", insider,
			"X-Recall-Policy: pass; reason=forged\r\nAuthentication-Results: gw.corp.test; dmarc=pass forged\r\n"+
				"Authentication-Results: other.test; dmarc=pass kept\r\nx-rEcAll-policy:\r\n\tpass "+
				"forged\r\nAUTHENTICATION-results:\r\n (a ; comment)\r\n\t\"GW.corp\\.test\" 1; dkim=pass forged\r\n"+
				"X-Recall-Policy : pass forged\r\nX-Recall-Policy: pass forged\r\nX-Recall-Other: forged\r\nFrom: "+
				"x@evil.test\r\nSubject: kept\r\nAuthentication-Results: gw.corp.test.; forged\r\n\r\nbody of forged-free\r\n"))
		got := f.arriving("body of forged-free")
		head, _, _ := strings.Cut(got, "\r\n\r\n")
		if strings.Contains(head, "forged") || !strings.Contains(head, "other.test; dmarc=pass kept") ||
			!strings.Contains(head, "Subject: kept") {
			t.Errorf("the header is now:\n%s", head)
		}
	})
}

func formA(subject string) string {
	return fresh(outlook.Recall{From: partnerFrom, To: insider, Subject: subject, Prefix: "Recall:"}.FormA())
}

func formB(subject string) string {
	return fresh(outlook.Recall{From: partnerFrom, To: insider, Subject: subject, Prefix: "Recall:"}.FormB())
}

func formC(subject string) string {
	return fresh(outlook.Recall{From: partnerFrom, To: insider, Subject: subject, Prefix: "Recall:"}.FormC())
}

func request(id string) string {
	return "From: " + partnerFrom + "\r\nTo: " + insider + "\r\nSubject: Recall request\r\nDate: " + now() +
		"\r\nMessage-ID: <request@partner.test>\r\nMIME-Version: 1.0\r\n" +
		"Auto-Submitted: auto-generated\r\nContent-Type: multipart/report; report-type=recall-request; " +
		"boundary=b\r\n\r\n--b\r\n\r\nAnna would like to recall a message.\r\n" +
		"--b\r\nContent-Type: message/recall-request\r\n\r\nRequest-Id: 1\r\nOriginal-Message-ID: <" + id +
		">\r\n\r\n--b--\r\n"
}

// fresh sets the date of a mail of the generator to now.
func fresh(mail string) string {
	mail = strings.ReplaceAll(mail, "Tue, 24 Nov 2026 09:01:00 +0000", now())
	return strings.Replace(mail, "Thu, 26 Nov 2026 09:00:00 +0000", time.Now().Add(48*time.Hour).Format(time.RFC1123Z), 1)
}

func TestGenuineRecallsOfEachFormAreVouchedFor(t *testing.T) {
	eachMTA(t, func(t *testing.T, k kind) {
		for form, mail := range map[string]string{"outlook": formA("the price list"), "exchange": formB("the price list"),
			"cloud": formC("the price list"), "request": request("o@partner.test")} {
			t.Run(form, func(t *testing.T) {
				t.Parallel()
				f := k.frontier(t, "")
				f.original("o@partner.test", "the price list", insider)
				f.must(f.comesIn(partnerFrom, insider, f.signed("partner.test", mail)))
				got := f.arriving("X-Recall-Policy: pass; reason=aligned; domain=partner.test; target=<o@partner.test>")
				if !strings.Contains(got, "x-recall=pass") || !strings.Contains(got, "Authentication-Results: gw.corp.test") {
					t.Errorf("no word for programs:\n%.800s", got)
				}
			})
		}
	})
}
