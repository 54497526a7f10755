package test

import (
	"net/textproto"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/emersion/go-msgauth/dkim"

	"github.com/recall-milter/recall-milter/test/server"
	"github.com/recall-milter/recall-milter/test/signing"
)

// trusting believes OpenDKIM and OpenDMARC, and asks no DNS of its own.
const trusting = "verify = []\ntrust = [\"mx.corp.test\"]\n"

// startTrusting starts a frontier behind OpenDKIM and OpenDMARC, as docs/inbound.md sets them up but for SPF, and
// believes them.
func startTrusting(t *testing.T, settings string, postfix ...string) *frontier {
	t.Helper()
	return startTrustingOn(t, settings, func(_ *server.DNS, opendmarc string) string {
		return server.StartOpenDMARC(t,
			map[string]string{"partner.test": "v=DMARC1; p=none", "evil.test": "v=DMARC1; p=none"}, opendmarc)
	}, postfix...)
}

// startTrustingOn starts one with the OpenDMARC that start starts with the settings of the manual.
func startTrustingOn(t *testing.T, settings string, start func(d *server.DNS, opendmarc string) string,
	postfix ...string) *frontier {
	t.Helper()
	opendkim, opendmarc := inManual(t)
	return startFrontierWith(t, settings, func(d *server.DNS, milter, nextHop string) mta {
		nobody := filepath.Join(t.TempDir(), "nobody") // by default OpenDMARC ignores loopback, where our stranger is
		if err := os.WriteFile(nobody, []byte("192.0.2.99\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		dkim := server.StartOpenDKIMVerifier(t, d, opendkim)
		dmarc := start(d, opendmarc+"\nIgnoreHosts "+nobody)
		return ofPostfix(server.StartPostfix(t, dkim+", inet:"+dmarc+", inet:"+milter, nextHop, postfix...))
	})
}

// inManual returns the settings of the two programs in docs/inbound.md, which stand side by side.
func inManual(t *testing.T) (opendkim, opendmarc string) {
	t.Helper()
	text, err := os.ReadFile("../docs/inbound.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "    # opendkim.conf")
	header, lines, _ := strings.Cut(rest, "\n")
	column := strings.Index("    # opendkim.conf"+header, "# opendmarc.conf")
	for line := range strings.SplitSeq(lines, "\n") {
		if !strings.HasPrefix(line, "    ") || column < 0 {
			break
		}
		opendkim += strings.TrimSpace(line[:min(column, len(line))]) + "\n"
		opendmarc += strings.TrimSpace(line[min(column, len(line)):]) + "\n"
	}
	if !strings.Contains(opendkim, "AuthservIDWithJobID") || !strings.Contains(opendmarc, "AuthservIDWithJobID") {
		t.Fatalf("no settings in the manual: %q, %q", opendkim, opendmarc)
	}
	return opendkim, opendmarc
}

func TestWhatOpenDKIMFoundIsBelieved(t *testing.T) {
	t.Parallel()
	f := startTrusting(t, trusting)
	f.original("o@partner.test", "the price list", insider)
	for form, mail := range map[string]string{"outlook": formA("the price list"), "exchange": formB("the price list"),
		"cloud": formC("the price list"), "request": request("o@partner.test")} {
		f.must(f.comesIn(partnerFrom, insider, "X-Form: "+form+"\r\n"+f.signed("partner.test", mail)))
	}
	for _, form := range []string{"outlook", "exchange", "cloud", "request"} {
		got := f.arriving("X-Form: " + form)
		if !strings.Contains(got, "X-Recall-Policy: pass; reason=aligned; domain=partner.test; target=<o@partner.test>") ||
			!strings.Contains(got, "x-recall=pass") ||
			!strings.Contains(got, "Authentication-Results: mx.corp.test/") {
			t.Errorf("%s:\n%.1500s", form, got)
		}
	}
}

// OpenDMARC writes what it found of SPF under its bare name, also with AuthservIDWithJobID, as any stranger can. So we
// don't believe it, and ask ourselves, as the manual says.
func TestOpenDMARCsSPFIsAskedForAgain(t *testing.T) {
	t.Parallel()
	const author, own, stranger = "anna@ally.test", "127.0.1.2", "127.0.2.2"
	f := startTrustingOn(t, trusting, func(d *server.DNS, opendmarc string) string {
		d.Add(t, `ally.test. TXT "v=spf1 ip4:`+own+` -all"`)
		d.Add(t, `_dmarc.ally.test. TXT "v=DMARC1; p=none"`)
		return server.StartOpenDMARCWith(t, d, opendmarc)
	})
	f.must(sendAs(own, f.mta.smtp, author, insider,
		"From: "+author+"\r\nTo: "+insider+"\r\nSubject: the price list\r\nMessage-ID: <o@ally.test>\r\n\r\nbody of the "+
			"original\r\n"))
	server.Eventually(t, "it is remembered",
		func() bool { return strings.Contains(f.redis.Do("KEYS recall:{mh0}:in:*"), "in:t:") })
	const bare = "Authentication-Results: mx.corp.test; spf=pass smtp.mailfrom=ally.test\r\n"
	if got := f.arriving("body of the original"); !strings.Contains(got, bare) ||
		!strings.Contains(got, "; dmarc=pass (p=none dis=none) header.from=ally.test") {
		t.Errorf("this OpenDMARC does something else:\n%s", got)
	}
	recall := replaced(t, formB("the price list"), partnerFrom, author)
	refuses := func(client, sender, mail, says string) {
		t.Helper()
		if err := sendAs(client, f.mta.smtp, sender, insider, mail); !refused(err, "not authenticated") ||
			!refused(err, says) {
			t.Errorf("want %q: %v", says, err)
		}
	}
	refuses(own, author, recall, "spf=none ally.test")
	f.change("verify = []", `verify = ["spf"]`)
	f.restartDaemon()
	refuses(stranger, author, bare+recall, "spf=fail ally.test")
	refuses(own, "x@evil.test", bare+recall, "evil.test")
	f.must(sendAs(own, f.mta.smtp, author, insider, recall))
	f.arriving("X-Recall-Policy: pass; reason=aligned; domain=ally.test; target=<o@ally.test>")
}

// What a stranger can make of Authentication-Results in front of OpenDKIM, OpenDMARC and us.
func TestForgedResultsOfEarlierMiltersAreNotBelieved(t *testing.T) {
	t.Parallel()
	f := startTrusting(t, trusting+"[inbound.recall]\non_fail = \"tag\"\n")
	f.original("o@partner.test", "the price list", insider)
	const bare = "Authentication-Results: mx.corp.test; dkim=pass header.d=partner.test; spf=pass " +
		"smtp.mailfrom=partner.test; dmarc=pass header.from=partner.test\r\n"
	named := strings.ReplaceAll(bare, "mx.corp.test;", "mx.corp.test/4A3B2C1D5E;")
	mail := formB("the price list")
	signature := "DKIM-Signature: v=1; a=rsa-sha256; d=partner.test; s=s1; h=From:Subject:Content-Type; bh=AAAA; b=AAAA"
	quoted := `"x; dkim=pass header.d=partner.test; y="@evil.test`
	for name, c := range map[string]forgery{
		"unsigned":                           {mail: mail, says: "no DKIM signature"},
		"a bare name":                        {mail: bare + mail, says: "not authenticated"},
		"a bare name over a false signature": {mail: bare + signature + "\r\n" + mail, says: "dkim=permerror partner.test"},
		"another queue ID":                   {mail: named + mail, says: "no DKIM signature"},
		"another queue ID over a genuine signature": {mail: named + f.signed("evil.test", mail), says: "dkim=pass evil.test"},
		"signed by another domain":                  {mail: bare + f.signed("evil.test", mail), says: "dkim=pass evil.test"},
		"OpenDKIM is silent, OpenDMARC misled":      {mail: bare + signature + "; xx\r\n" + mail, says: "no DKIM signature"},
		"another queue ID where OpenDKIM is silent": {mail: named + signature + "; xx\r\n" + mail,
			says: "a field claims mx.corp.test with another queue ID"},
		"results in an envelope sender": {from: quoted, mail: mail, says: "not authenticated"},
		"changed body": {mail: replaced(t, f.signed("partner.test", mail), "The sender",
			"The Sender"), says: "dkim=fail partner.test"},
		"Subject not covered": {mail: f.signed("partner.test", mail,
			func(o *dkim.SignOptions) { o.HeaderKeys = []string{"From", "Date"} }),
			says: "does not cover Subject"},
		"a second signature that covers it": {mail: signature + "\r\n" + f.signed("partner.test", mail,
			func(o *dkim.SignOptions) { o.HeaderKeys = []string{"From", "Date"} }), says: "does not cover Subject"},
	} {
		f.must(f.comesFrom(c.from, "X-Name: "+name+"\r\n"+c.mail))
		got := f.arriving("X-Name: " + name + "\r\n")
		head, _, _ := strings.Cut(got, "\r\n\r\n")
		if !strings.Contains(head, "X-Recall-Policy: fail") || !strings.Contains(head, c.says) {
			t.Errorf("%s: want %q\n%s", name, c.says, head)
		}
		if strings.Contains(name, "misled") && !strings.Contains(head, "; dmarc=pass") {
			t.Errorf("OpenDMARC is not misled, so this shows nothing:\n%s", head)
		}
	}
	f.nothingActed()
}

// What OpenDKIM leaves and OpenDMARC believes, Postfix takes out with the line of the manual.
func TestHeaderChecksTakeOutWhatWouldMisleadOpenDMARC(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../docs/inbound.md")
	if err != nil {
		t.Fatal(err)
	}
	table := filepath.Join(t.TempDir(), "forged_results")
	line := regexp.MustCompile(`(?m)^ +(/\^Authentication-Results.*IGNORE)$`).FindSubmatch(text)
	if line == nil {
		t.Fatal("no such line in the manual")
	}
	if err := os.WriteFile(table, append(line[1], '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
	f := startTrusting(t, trusting+"[inbound.recall]\non_fail = \"tag\"\n", "header_checks = regexp:"+table)
	f.must(f.comesFrom("", "AUTHENTICATION-Results:\r\n (c)\r\n\tmx.corp.test; dkim=pass "+
		"header.d=partner.test\r\nDKIM-Signature: xx\r\nX-Name: forged\r\n"+formB("the price list")))
	head, _, _ := strings.Cut(f.arriving("X-Name: forged"), "\r\n\r\n")
	if !strings.Contains(head, "X-Recall-Policy: fail") ||
		!strings.Contains(head, "dmarc=fail (p=none dis=none) header.from=partner.test") ||
		strings.Contains(head, "dkim=pass") {
		t.Errorf("it is there still:\n%s", head)
	}
	f.must(f.comesFrom("", "X-Name: genuine\r\n"+f.signed("partner.test", formB("the price list"))))
	if got := f.arriving("X-Name: genuine"); !strings.Contains(got,
		"dmarc=pass (p=none dis=none) header.from=partner.test") {
		t.Errorf("OpenDKIM's own field is gone:\n%s", got)
	}
}

// comesFrom hands a message over to the insider, with any envelope sender; "" is the partner.
func (f *frontier) comesFrom(sender, message string) error {
	if sender == "" {
		sender = partnerFrom
	}
	c, err := textproto.Dial("tcp", f.mta.smtp)
	f.must(err)
	defer c.Close()
	_, _, err = c.ReadResponse(220)
	f.must(err)
	for _, line := range []string{"EHLO x.test", "MAIL FROM:<" + sender + ">", "RCPT TO:<" + insider + ">", "DATA",
		strings.TrimSuffix(message, "\r\n") + "\r\n."} {
		f.must(c.PrintfLine("%s", line))
		if _, _, err := c.ReadResponse(0); err != nil {
			return err
		}
	}
	return nil
}

// A list adds a footer, which breaks the author's signature, and seals what it found before. Failures of this partner
// are tagged by a rule of its own, all others refused.
func TestARecallThatAListPassedOnIsVouchedFor(t *testing.T) {
	t.Parallel()
	f := startFrontier(t, "arc_sealers = [\"lists.test\"]\n[[inbound.recall.rule]]\nname = \"friends\"\npartners = "+
		"[\"partner.test\"]\non_fail = \"tag\"\n")
	f.dns.Add(t, `s1._domainkey.lists.test. TXT "`+dkimRecord(f.key)+`"`)
	f.original("o@partner.test", "the price list", insider)
	list := signing.Sealer{Domain: "lists.test", Key: f.key,
		Results: "dkim=pass header.d=partner.test; dmarc=pass header.from=partner.test"}
	stranger := signing.Sealer{Domain: "evil.test", Key: f.key, Results: list.Results}
	passedOn := f.signed("partner.test", formB("the price list")) + "-- \r\nthe list\r\n"
	for name, c := range map[string]struct{ mail, says string }{
		"sealed": {list.Seal(passedOn), "X-Recall-Policy: pass; reason=aligned; domain=partner.test; " +
			"target=<o@partner.test>"},
		"not sealed": {passedOn, "dkim=fail partner.test body hash did not verify"},
		"changed behind": {list.Seal(passedOn) + "more\r\n",
			"arc=fail lists.test its newest signature does not hold: body hash did not verify"},
		"sealed by a stranger": {stranger.Seal(passedOn), "its sealer is not named in arc_sealers"},
	} {
		f.must(f.comesIn("list@lists.test", insider, "X-Name: "+name+"\r\n"+c.mail))
		if head, _, _ := strings.Cut(f.arriving("X-Name: "+name+"\r\n"), "\r\n\r\n"); !strings.Contains(head, c.says) ||
			strings.Contains(head, "x-recall=pass") != (name == "sealed") {
			t.Errorf("%s: want %q in\n%s", name, c.says, head)
		}
	}
	if err := f.comesIn("x@evil.test", insider, stranger.Seal(replaced(t, formB("the price list"), partnerFrom,
		"anna@partner-test.test"))); !refused(err, "550 5.7.1") {
		t.Errorf("a stranger's, under the rule default: %v", err)
	}
	log, err := os.ReadFile(f.log)
	f.must(err)
	if strings.Count(string(log), "rule=friends") != 4 || strings.Count(string(log), "rule=default") != 1 {
		t.Errorf("rules in the log:\n%s", log)
	}
}
