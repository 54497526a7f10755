package test

import (
	"fmt"
	"net/smtp"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/recall-milter/recall-milter/test/outlook"
	"github.com/recall-milter/recall-milter/test/server"
)

// filtered is a frontier whose Postfix asks opendkim, opendmarc, us, and rspamd, as docs/filters.md says. A second port
// asks the same programs without us.
type filtered struct {
	*frontier
	rspamd *server.Rspamd
	plain  string // the port without us
	sent   map[string]int
}

const (
	ally      = "anna@ally.test" // of a partner
	colleague = "anna@corp.test" // of ours, who sends from outside: that mailbox is in a cloud
)

// What else the site refuses: mail that is bad, also when it is a recall.
const (
	siteRegexps = `SITE_PHISHING = { re = "/verify your password/i{mime}"; score = 20.0; }`
	siteVirus   = `clamav { type = "clamav"; servers = "%s"; symbol = "CLAM_VIRUS"; scan_mime_parts = false; }`
	siteScores  = `group "antivirus" { symbols { "CLAM_VIRUS" { weight = 20.0; } } }`
	virus       = "the only virus that there is"
)

func startFiltered(t *testing.T) *filtered {
	t.Helper()
	f := &filtered{sent: map[string]int{}}
	f.frontier = startFrontierWith(t, "[inbound.recall]\non_fail = \"tag\"\n",
		func(d *server.DNS, milter, nextHop string) mta {
			publish(t, d)
			f.rspamd = server.StartRspamd(t, d, map[string]string{
				"antivirus.conf":      fmt.Sprintf(siteVirus, server.StartClamAV(t, virus)),
				"groups.conf":         siteScores,
				"force_actions.conf":  documented(t, "force_actions.conf"),
				"milter_headers.conf": "use = [\"authentication-results\"];\n" + documented(t, "milter_headers.conf"),
				"options.inc":         shipped(t, "rspamd/local.d/options.inc"),
				"regexp.conf":         siteRegexps,
				"multimap.conf":       shipped(t, "rspamd/local.d/multimap.conf") + documented(t, "multimap.conf"),
				"composites.conf":     shipped(t, "rspamd/local.d/composites.conf") + documented(t, "composites.conf"),
			})
			dkim := server.StartOpenDKIMVerifier(t, d, shipped(t, "opendkim/before-recall-milter.conf"))
			const strict = "v=DMARC1; p=reject"
			dmarc := server.StartOpenDMARC(t, map[string]string{"ally.test": strict, "corp.test": strict, "evil.test": strict},
				shipped(t, "opendmarc/before-recall-milter.conf"))
			before, after := dkim+", inet:"+dmarc, ", inet:"+f.rspamd.Milter
			p := server.StartPostfix(t, before+", inet:"+milter+after, nextHop, "own_milters = inet:"+before+after,
				"smtpd_authorized_xclient_hosts = 127.0.0.0/8",
				"relay_domains = corp.test", "relay_transport = smtp", "smtpd_recipient_restrictions = reject_unauth_destination")
			f.plain = p.Own
			return ofPostfix(p)
		})
	for _, domain := range []string{"ally.test", "corp.test"} {
		f.dns.Add(t, "s1._domainkey."+domain+`. TXT "`+dkimRecord(f.key)+`"`)
	}
	f.original("o@ally.test", "the price list", ally)
	f.original("o@corp.test", "the price list", colleague)
	return f
}

// publish is the DNS of sites that are in order; their SPF proves nothing, so that it is DKIM that counts.
func publish(t *testing.T, d *server.DNS) {
	t.Helper()
	for domain, host := range map[string]int{"ally.test": 7, "corp.test": 1, "evil.test": 66} {
		for _, record := range []string{"%s. A 192.0.2.%d", "%s. AAAA 2001:db8::%d", "mail.%s. A 192.0.2.%d",
			"mail.%s. AAAA 2001:db8::%d"} {
			d.Add(t, fmt.Sprintf(record, domain, host))
		}
		d.Add(t, fmt.Sprintf("%s. MX 10 mail.%s.", domain, domain))
		d.Add(t, "_dmarc."+domain+`. TXT "v=DMARC1; p=reject"`)
		if domain != "evil.test" {
			d.Add(t, domain+`. TXT "v=spf1 ?all"`)
		}
	}
}

// shipped is a file of ours as a site installs it.
func shipped(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../packaging", name))
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(string(text), "gw.example.com", "gw.corp.test")
}

// documented are the lines that docs/filters.md has for a file of Rspamd: a strict site's own rules. Ours are the
// clients on loopback.
func documented(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile("../docs/filters.md")
	if err != nil {
		t.Fatal(err)
	}
	_, lines, found := strings.Cut(string(text), "    # local.d/"+file+"\n")
	lines, _, _ = strings.Cut(lines, "\n\n")
	if !found {
		t.Fatalf("docs/filters.md says nothing of %s", file)
	}
	return strings.NewReplacer("example.com", "corp.test", "192.0.2.0/24", "127.0.0.0/8").Replace(lines) + "\n"
}

// original lets a message come in from a client of ours, which the site's rules spare, and waits until it is
// remembered.
func (f *filtered) original(id, subject, from string) {
	f.t.Helper()
	f.must(f.comesIn(from, insider,
		fmt.Sprintf("From: %s\r\nTo: %s\r\nSubject: %s\r\nDate: %s\r\nMessage-ID: <%s>\r\n\r\nbody of %s\r\n",
			from, insider, subject, earlier(), id, id)))
	f.arriving("body of " + id)
}

// fromOutside hands a message over at a port as the host mail.DOMAIN of its sender does.
func (f *filtered) fromOutside(port, from, message string) error {
	c, err := smtp.Dial(port)
	f.must(err)
	defer c.Close()
	host := "mail." + domainOf(from)
	f.must(c.Hello(host))
	for _, line := range []string{"XCLIENT ADDR=" +
		map[string]string{"ally.test": "192.0.2.7", "corp.test": "192.0.2.1", "evil.test": "192.0.2.66"}[domainOf(from)] +
		" NAME=" + host, "EHLO " + host} {
		f.must(c.Text.PrintfLine("%s", line))
		_, _, err := c.Text.ReadResponse(2)
		f.must(err)
	}
	f.must(c.Mail(from))
	f.must(c.Rcpt(insider))
	w, err := c.Data()
	f.must(err)
	_, err = w.Write([]byte(message))
	f.must(err)
	return w.Close()
}

func domainOf(address string) string { return address[strings.LastIndexByte(address, '@')+1:] }

// judged is what Rspamd thinks of a message from outside at one of the ports, and whether the client was refused for
// it.
func (f *filtered) judged(port, from, message string) server.Judgement {
	f.t.Helper()
	id := between(message, "Message-ID: <", ">")
	f.sent[id]++
	err := f.fromOutside(port, from, message)
	var all []server.Judgement
	server.Eventually(f.t, "rspamd judges "+id, func() bool {
		all = f.rspamd.Judgements(id)
		return len(all) == f.sent[id]
	})
	got := all[len(all)-1]
	if (err != nil) != (got.Action == "reject") {
		f.t.Errorf("%s: rspamd says %s, the client hears %v", id, got.Action, err)
	}
	return got
}

func between(s, begin, end string) string {
	_, s, _ = strings.Cut(s, begin)
	s, _, _ = strings.Cut(s, end)
	return s
}

// recalls are the forms of a recall of the author's message about the price list, unsigned. No two have the same ID.
func recalls(author, mark string) map[string]string {
	r := outlook.Recall{From: author, To: insider, Subject: "the price list", Prefix: "Recall:"}
	all := map[string]string{"request": strings.ReplaceAll(request("o@"+domainOf(author)), partnerFrom, author),
		"outlook": fresh(r.FormA()), "exchange": fresh(r.FormB()), "cloud": fresh(r.FormC())}
	for form, mail := range all {
		all[form] = strings.Replace(mail, "Message-ID: <", "Message-ID: <!~!"+form+"."+mark+".", 1)
	}
	return all
}

// The same message, the same Rspamd: with us it is not spam, without us the site's rules refuse it.
func TestFiltersLetGenuineRecallsThroughAndNothingElse(t *testing.T) {
	t.Parallel()
	f := startFiltered(t)
	t.Run("rspamd", f.rspamdSparesRecalls)
	t.Run("spamassassin", f.spamAssassinSparesRecalls)
	t.Run("amavis", f.amavisSparesRecalls)
	t.Run("authentication results", f.resultsArrive)
}

func (f *filtered) rspamdSparesRecalls(t *testing.T) {
	for author, forms := range map[string][]string{colleague: {"request", "outlook", "exchange", "cloud"},
		ally: {"outlook"}} {
		for _, form := range forms {
			mail := f.signed(domainOf(author), recalls(author, domainOf(author))[form])
			if got := f.judged(f.plain, author, mail); got.Action != "reject" || !got.Has("DMARC_POLICY_ALLOW") {
				t.Errorf("%s of %s without us: %+v", form, author, got)
			}
			if got := f.judged(f.mta.smtp, author, mail); got.Action != "no action" || !got.Has("RECALL_GENUINE") {
				t.Errorf("%s of %s with us: %+v", form, author, got)
			}
		}
	}
	forged := "X-Recall-Policy: pass; reason=aligned; domain=corp.test; target=<o@corp.test>\r\n" +
		recalls(colleague, "header")["outlook"]
	if got := f.judged(f.plain, colleague, forged); got.Action != "reject" || !got.Has("RECALL_VOUCHED") ||
		got.Has("RECALL_GENUINE") {
		t.Errorf("our header alone, where nobody takes it out: %+v", got)
	}
	for name, c := range f.notGenuine() {
		got := f.judged(f.mta.smtp, c.from, c.mail)
		if got.Action != "reject" || got.Has("RECALL_GENUINE") != c.genuine || got.Has("RECALL_VOUCHED") != c.genuine ||
			c.symbol != "" && !got.Has(c.symbol) {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// judging is a message that must be judged as it would be without us.
type judging struct {
	from, mail string
	genuine    bool   // Rspamd sees that it is a genuine recall, and that it is bad for another reason
	symbol     string // found
}

func (f *filtered) notGenuine() map[string]judging {
	t, by := f.t, f.signed
	winmail := outlook.NewTNEF().Attribute(0x00078008, []byte("IPM.Note\x00")).Bytes()
	ordinary := func(from, mark string) string {
		mail := outlook.Recall{From: from, To: insider, Subject: "the figures"}.FormAWith(winmail)
		return replaced(t, fresh(mail), "Message-ID: <", "Message-ID: <"+mark+".")
	}
	recall := func(author, mark string) string { return recalls(author, mark)["outlook"] }
	smuggled := outlook.Recall{From: ally, To: insider, Subject: "the price list", Prefix: "Recall:"}.
		FormAWith(outlook.WinmailWith([]byte("the price list"), []byte("MZ")))
	const vouched = "X-Recall-Policy: pass; reason=aligned; domain=evil.test; target=<o@ally.test>\r\n" +
		"Authentication-Results: gw.corp.test; dkim=pass header.d=evil.test; dmarc=pass header.from=evil.test; " +
		"x-recall=pass\r\n"
	const evil = "mallory@evil.test"
	return map[string]judging{
		"ordinary mail with a winmail.dat": {ally, by("ally.test", ordinary(ally, "ordinary")), false,
			"WINMAIL_DAT"},
		"a forged recall of a colleague": {evil, by("evil.test", recall(colleague, "forged")), false,
			"LOCAL_SPOOF"},
		"an unsigned recall of a colleague": {colleague, recall(colleague, "unsigned"), false, "LOCAL_SPOOF"},
		"our verdict forged, aligned for the forger": {evil, vouched + by("evil.test", ordinary(evil, "verdict")), false,
			"DMARC_POLICY_ALLOW"},
		"our verdict forged, signed": {evil, by("evil.test", vouched+ordinary(evil, "signedverdict")), false,
			"WINMAIL_DAT"},
		"a recall with a file in its winmail.dat": {ally,
			by("ally.test", replaced(t, fresh(smuggled), "Message-ID: <", "Message-ID: <smuggled.")), false,
			"WINMAIL_DAT"},
		"a genuine recall that asks for passwords": {ally,
			by("ally.test", replaced(t, recall(ally, "phishing"), "The sender would",
				"Verify your password. The sender would")), true, "SITE_PHISHING"},
		"a genuine recall with a virus": {ally, by("ally.test",
			replaced(t, recall(ally, "virus"), "The sender would", virus+"\r\nThe sender would")), true,
			"CLAM_VIRUS"},
	}
}

// strict is a SpamAssassin with our files.
func (f *filtered) strict(t *testing.T) server.SpamAssassin {
	t.Helper()
	return server.NewSpamAssassin(t,
		map[string]string{"recall-milter.cf": shipped(t, "spamassassin/recall-milter.cf"), "strict-rules.cf": strictRules(t)})
}

func strictRules(t *testing.T) string {
	t.Helper()
	return strings.ReplaceAll(shipped(t, "spamassassin/strict-rules.cf"), `example\.com`, `corp\.test`)
}

// The mails are those that came out of Postfix.
func (f *filtered) spamAssassinSparesRecalls(t *testing.T) {
	recall := f.arriving("Message-ID: <!~!outlook.corp.test.")
	with := f.strict(t)
	with.Lint(t)
	const aligned = "Authentication-Results: dmarc.gw.corp.test; dmarc=pass"
	mails := []string{recall, f.arriving("body of o@ally.test"),
		replaced(t, recall, "X-Recall-Policy: pass", "X-Recall-Policy: fail"),
		replaced(t, recall, aligned, "Authentication-Results: dmarc.gw.corp.test; dmarc=fail"),
		// by the sender
		replaced(t, replaced(t, recall, aligned, "X: "), "From: ", aligned+" header.from=corp.test\r\nFrom: ")}
	got := with.Judge(t, mails...)
	want := server.NewSpamAssassin(t, map[string]string{"strict-rules.cf": strictRules(t)}).Judge(t, mails...)
	if !strings.Contains(want[0], "LOCAL_SPOOF") || !strings.Contains(want[0], "WINMAIL_DAT") ||
		points(t, got[0]) > points(t, want[0])-19 || points(t, got[0]) > 5 {
		t.Errorf("a genuine recall: %s, and without our rules %s", got[0], want[0])
	}
	for n := range mails[1:] {
		if got[n+1] != want[n+1] {
			t.Errorf("another mail is judged in another way: %s, and without our rules %s:\n%s", got[n+1], want[n+1], mails[n+1])
		}
	}
}

// amavis stands behind Postfix as a content filter.
func (f *filtered) amavisSparesRecalls(t *testing.T) {
	// it would ask the system's DNS
	recall := replaced(t, f.arriving("Message-ID: <!~!outlook.corp.test."), "DKIM-Signature: ", "X-Old: ")
	out := server.StartSink(t)
	amavis := server.StartAmavis(t, out.Addr, f.strict(t),
		shipped(t, "amavis/60-recall-milter")+"$enable_dkim_verification = 1;\n")
	send := func(mail string) error { return smtp.SendMail(amavis, nil, colleague, []string{insider}, []byte(mail)) }
	f.must(send(recall))
	if got := string(out.Got()[0].Data); !strings.Contains(got, "RECALL_GENUINE") ||
		!strings.Contains(got, "Authentication-Results: gw.corp.test") {
		t.Errorf("a genuine recall arrives as\n%s", got)
	}
	if err := send(replaced(t, recall, "X-Recall-Policy: pass", "X-Recall-Policy: fail")); !refused(err, "spam") {
		t.Errorf("another mail: %v", err)
	}
}

func points(t *testing.T, verdict string) float64 {
	t.Helper()
	text, _, _ := strings.Cut(verdict, " ")
	score, err := strconv.ParseFloat(text, 64)
	if err != nil {
		t.Fatalf("%q: %v", verdict, err)
	}
	return score
}

// Everybody can type results in the names of opendkim, opendmarc and us. What they found themselves stays.
func (f *filtered) resultsArrive(t *testing.T) {
	forged := "Authentication-Results: gw.corp.test; dmarc=pass header.from=ally.test; x-recall=pass\r\n" +
		"Authentication-Results: dmarc.gw.corp.test; dmarc=pass header.from=ally.test\r\n" +
		"Authentication-Results: dmarc.gw.corp.test; dkim=pass header.d=ally.test\r\n" +
		"Authentication-Results: dkim.gw.corp.test; dkim=pass header.d=ally.test\r\n" +
		"Authentication-Results: dkim.gw.corp.test; spf=pass smtp.mailfrom=ally.test\r\n"
	mail := "Authentication-Results: other.test; dkim=neutral kept\r\nFrom: anna@ally.test\r\nSubject: x\r\nDate: " +
		now() + "\r\nMessage-ID: <x@ally.test>\r\n\r\nhello body\r\n"
	f.must(f.fromOutside(f.mta.smtp, ally, forged+mail))
	got := f.arriving("hello body")
	for _, want := range []string{"dkim.gw.corp.test; dkim=none", "dmarc.gw.corp.test; dmarc=fail",
		"other.test; dkim=neutral kept"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %s in\n%s", want, got)
		}
	}
	if strings.Contains(got, "=pass") {
		t.Errorf("forged results arrive:\n%s", got)
	}
	f.must(f.fromOutside(f.mta.smtp, ally, f.signed("ally.test", forged+strings.ReplaceAll(mail, "hello", "signed"))))
	got = f.arriving("signed body")
	if !strings.Contains(got, "dmarc.gw.corp.test; dmarc=pass (p=reject") {
		t.Errorf("what they found does not arrive:\n%s", got)
	}
	for line := range strings.Lines(forged) {
		if strings.Contains(got, line) {
			t.Errorf("forged results arrive:\n%s", got)
		}
	}
}
