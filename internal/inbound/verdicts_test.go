package inbound

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-msgauth/dkim"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/authenticate"
	"github.com/recall-milter/recall-milter/internal/mailmsg"
	"github.com/recall-milter/recall-milter/internal/protocol/cancel"
	"github.com/recall-milter/recall-milter/policy"
	"github.com/recall-milter/recall-milter/test/outlook"
	"github.com/recall-milter/recall-milter/test/server"
	"github.com/recall-milter/recall-milter/test/signing"
)

// trial is one recall that comes in, and the site that it comes to.
type trial struct {
	text   string // the mail
	domain string // that signs it; empty: nobody does
	covers []string
	after  func(signed string) string
	from   string // envelope sender
	to     string
	client string
	rule   policy.InboundRule
	known  holdstore.Remembered // the message that came in before
	before string               // the client that sent the same command before
	other  string               // Message-ID of that, when it has another one
	away   bool                 // Redis is
	lists  policy.Patterns      // addresses of mailing lists
}

const (
	anna, bert = "anna@partner.test", "bert@corp.test"
	priceList  = "the price list"
	day        = 24 * time.Hour
)

// put adds a field on top, before the signature; then one that only it signs.
func (t *trial) put(field string) { t.text = field + "\r\n" + t.text }

// lay adds a field on top of all.
func (t *trial) lay(field string) { t.after = func(s string) string { return field + "\r\n" + s } }

func (t *trial) replace(old, new string) { t.text = strings.Replace(t.text, old, new, 1) }

// dated sets Date, and drops Expiry-Date, which only one form has.
func (t *trial) dated(at time.Time) {
	t.replace("Date: ", "Date: "+at.Format(time.RFC1123Z)+"\r\nX-Date: ")
	t.replace("Expiry-Date: ", "X-Expiry-Date: ")
}

var lockedKey = cancel.Key([]byte("ExampleSecret"), "", "<o@partner.test>")

// row is one kind of evidence, what it is worth in each form (outlook, exchange, cloud, request), and what a verdict
// that is not a pass says.
type row struct {
	evidence string
	verdicts [4]string
	says     string
	edit     func(*trial)
}

func all(verdict string) [4]string { return [4]string{verdict, verdict, verdict, verdict} }

func rows(key ed25519.PrivateKey) []row {
	partial := []string{"From", "Subject", "Date"}
	unlock := func(t *trial) {
		t.put("Cancel-Key: " + lockedKey.String())
		t.known.Lock = cancel.Lock(lockedKey).String()
	}
	sealed := func(domain string) func(*trial) {
		return func(t *trial) {
			t.domain = ""
			t.after = signing.Sealer{Domain: domain, Key: key,
				Results: "dkim=pass header.d=partner.test; dmarc=pass header.from=partner.test"}.Seal
		}
	}
	return []row{
		{"DKIM aligned with From, covers what makes it a recall", all("pass"), "", func(*trial) {}},
		{"DKIM of a subdomain of From's organisation, whose DMARC record allows it", all("pass"), "",
			func(t *trial) { t.domain = "mail.partner.test" }},
		{"SPF aligned with From", all("pass"), "", func(t *trial) { t.domain, t.client = "", "192.0.2.7" }},
		{"aligned DKIM next to results without an authserv-id, as Exchange has them", all("pass"), "",
			func(t *trial) { t.lay("Authentication-Results: dkim=none (message not signed)") }},
		{"`dkim=pass` of a name in `trust` with this queue ID", all("pass"), "", func(t *trial) {
			t.after = func(s string) string {
				return "Authentication-Results: mx.corp.test/4A3B2C; dkim=pass header.d=partner.test\r\n" + strings.Replace(s,
					"\r\n b=", "\r\n b=AAAA", 1)
			}
		}},
		{"ARC seal of a domain in `arc_sealers`", all("pass"), "", sealed("lists.test")},
		{"nothing aligned, only `cancel_key` required, and one opens the lock", all("pass"), "",
			func(t *trial) { unlock(t); t.domain, t.rule.Require = "", []string{"cancel_key"} }},
		{"nothing aligned, only `cancel_key` required, and none opens the lock", all("fail"),
			"no Cancel-Key that opens the message's Cancel-Lock", func(t *trial) {
				t.domain, t.rule.Require = "",
					[]string{"cancel_key"}
			}},
		{"DKIM aligned, Content-Type not covered", [4]string{"fail", "pass", "pass", "fail"},
			"the signature does not cover Content-Type", func(t *trial) { t.covers = partial }},
		{"DKIM aligned, Content-Type not covered, a Cancel-Key opens the lock", all("pass"), "",
			func(t *trial) { unlock(t); t.covers = partial }},
		{"DKIM aligned, Subject not covered", all("fail"), "the signature does not cover Subject",
			func(t *trial) { t.covers = []string{"From", "Content-Type", "Date"} }},
		{"DKIM aligned, body or Subject changed", all("fail"), "body hash did not verify", func(t *trial) {
			t.after = func(s string) string { return strings.Replace(s, "would like", "Would like", 1) }
		}},
		{"nothing aligned", all("fail"), "sender not authenticated, no DKIM signature", func(t *trial) { t.domain = "" }},
		{"DKIM or SPF of another domain", all("fail"), "sender not authenticated, dkim=pass evil.test, spf=pass evil.test",
			func(t *trial) { t.domain, t.client, t.from = "evil.test", "192.0.2.66", "x@evil.test" }},
		{"DKIM of a lookalike of From's domain", all("fail"), "sender not authenticated, dkim=pass partner-test.test",
			func(t *trial) { t.domain = "partner-test.test" }},
		{"DKIM of a subdomain, DMARC record with `adkim=s`", all("fail"),
			"sender not authenticated, dkim=pass mail.strict.test", func(t *trial) {
				t.domain = "mail.strict.test"
				t.replace(anna, "anna@strict.test")
			}},
		{"`dkim=pass` of a name in `trust` without a queue ID, or with another", all("fail"),
			"a field claims mx.corp.test with another queue ID", func(t *trial) {
				t.domain = ""
				t.lay("Authentication-Results: mx.corp.test; dkim=pass header.d=partner.test\r\nAuthentication-Results: " +
					"mx.corp.test/999999; dkim=pass header.d=partner.test")
			}},
		{"ARC seal of another domain", all("fail"), "its sealer is not named in arc_sealers", sealed("evil.test")},
		{"DKIM aligned, passed on by a mailing list (`List-*`, `Precedence: list`)", all("fail"),
			"came through a mailing list", func(t *trial) { t.put("List-Id: <staff.partner.test>") }},
		{"DKIM aligned, passed on by a mailing list, a Cancel-Key opens the lock", all("pass"), "",
			func(t *trial) { unlock(t); t.put("Precedence: list") }},
		{"DKIM aligned, the message came under the address of a mailing list", all("fail"), "came through a mailing list",
			func(t *trial) { t.known.Ways = []holdstore.Way{{Shared: true}} }},
		{"From is of a recipient's own domain, and nothing is aligned", all("fail"),
			"forged, a local domain without evidence", func(t *trial) { t.domain = ""; t.replace(anna, "carl@corp.test") }},
		{"DNS could not be asked", all("temperror"), "DNS could not be asked",
			func(t *trial) { t.domain = "away.test"; t.replace(anna, "x@away.test") }},
		{"Redis could not be asked", all("temperror"), "the store could not be asked", func(t *trial) { t.away = true }},
		{"two fields From, Subject or Date", all("fail"), "more than one field Subject",
			func(t *trial) { t.lay("Subject: Recall: another") }},
		{"a group, or several addresses in From", all("fail"), "From is not one plain address",
			func(t *trial) { t.replace("From: "+anna, "From: friends: "+anna+";") }},
		{"more than 1 MB", all("fail"), "the command is too large",
			func(t *trial) { t.text += strings.Repeat("x\r\n", mailmsg.MaxBody/3+1) }},
		{"null sender", all("fail"), "null sender", func(t *trial) { t.from = "" }},
		{"domain not in `partners`", all("fail"), "domain is not a partner", func(t *trial) {
			t.rule.Partners,
				_ = policy.ParsePatterns([]string{"bank.test"})
		}},
		{"`Date` older than `max_age`, or ahead by more than 15 minutes", all("fail"), "the command is expired",
			func(t *trial) { t.dated(time.Now().Add(-8 * day)) }},
		{"`Expiry-Date` has passed", all("fail"), "the command is expired",
			func(t *trial) { t.dated(time.Now()); t.put("Expiry-Date: Tue, 24 Nov 2020 09:00:00 +0000") }},
		{"more than `rate` from the domain", all("fail"), "too many recalls from this domain",
			func(t *trial) { t.rule.Rate = 1; t.before, t.other = "192.0.2.1", "<another@partner.test>" }},
		{"Message-ID used before, by another client or for other recipients", all("fail"), "the command was used before",
			func(t *trial) { t.before = "192.0.2.66" }},
		{"no remembered message of that From to that recipient", all("none"),
			"no message of that sender to that recipient is known", func(t *trial) { t.to = "carl@corp.test" }},
		{"no remembered message of that From", all("none"), "no message of that sender to that recipient is known",
			func(t *trial) { t.known.From = "mallory@partner.test" }},
		{"the remembered message is older than `max_age`", all("fail"), "the message is too old",
			func(t *trial) { t.known.At = time.Now().Add(-8 * day) }},
		{"`cancel_key` required as well, and none opens the lock", all("fail"),
			"no Cancel-Key that opens the message's Cancel-Lock",
			func(t *trial) { t.rule.Require = []string{"aligned", "cancel_key"} }},
	}
}

var forms = []string{"outlook", "exchange", "cloud", "request"}

func mails() map[string]string {
	r := outlook.Recall{From: anna, To: bert, Subject: priceList, Prefix: "Recall:"}
	now := time.Now().Format(time.RFC1123Z)
	fresh := func(mail string) string {
		mail = strings.Replace(mail, "Tue, 24 Nov 2026 09:01:00 +0000\r\nMessage-ID", now+"\r\nMessage-ID", 1)
		return strings.Replace(mail, "Thu, 26 Nov 2026 09:00:00 +0000", time.Now().Add(2*day).Format(time.RFC1123Z), 1)
	}
	return map[string]string{"outlook": fresh(r.FormA()), "exchange": fresh(r.FormB()), "cloud": fresh(r.FormC()),
		"request": "From: " + anna + "\r\nTo: " + bert + "\r\nSubject: Recall request\r\nDate: " + now +
			"\r\nMessage-ID: <q@partner.test>\r\nMIME-Version: 1.0\r\n" +
			"Content-Type: multipart/report; report-type=recall-request; boundary=b\r\n\r\n--b\r\n\r\nAnna would like to " +
			"recall a message.\r\n" +
			"--b\r\nContent-Type: message/recall-request\r\n\r\nRequest-Id: 1\r\nOriginal-Message-ID: " +
			"<o@partner.test>\r\n\r\n--b--\r\n"}
}

// memory is the hold store, which may be away.
type memory struct {
	*holdstore.Store
	away bool
}

func (m memory) FindRemembered(ctx context.Context, from, id, subject string, asked []string) ([]holdstore.Remembered,
	error) {
	if m.away {
		return nil, errors.New("away")
	}
	return m.Store.FindRemembered(ctx, from, id, subject, asked)
}

type quiet struct{}

func (quiet) Judged(holdstore.Submission, string, string, policy.InboundVerdict) {}
func (quiet) Recovered(string, time.Duration)                                    {}
func (quiet) Trouble(string, error)                                              {}

// arrival makes a mail as the milter gathers it; to has blanks between.
func mailFrom(text, from, to, client string) *Mail {
	head, body, _ := strings.Cut(text, "\r\n\r\n")
	m := &Mail{Message: mailmsg.Message{Body: []byte(body)[:min(len(body), mailmsg.MaxBody)],
		Cut: len(body) > mailmsg.MaxBody}}
	for line := range strings.SplitSeq(head, "\r\n") {
		if line[0] == ' ' || line[0] == '\t' {
			m.Fields[len(m.Fields)-1].Value += "\r\n" + line
			continue
		}
		name, value, _ := strings.Cut(line, ":")
		m.Fields = append(m.Fields, policy.Field{Name: name, Value: value})
		if name == "Message-ID" {
			m.MessageID = strings.TrimSpace(value)
		}
	}
	m.QueueID, m.Client.Address, m.Client.HELO, m.Sender.Address = "4A3B2C", client, "mx.partner.test", from
	for r := range strings.FieldsSeq(to) {
		m.Recipients = append(m.Recipients, holdstore.Path{Address: r})
	}
	return m
}

// surroundings are what a site asks: the DNS, where partner.test signs with the key, and a store.
func surroundings(t *testing.T) (ed25519.PrivateKey, *authenticate.Verifier, *holdstore.Store, *server.Redis) {
	t.Helper()
	key := ed25519.NewKeyFromSeed([]byte("a seed of 32 bytes for this test"))
	record := `TXT "v=DKIM1; k=ed25519; p=` + base64.StdEncoding.EncodeToString(key.Public().(ed25519.PublicKey)) + `"`
	dns := server.StartDNS(t, `partner.test. TXT "v=spf1 ip4:192.0.2.7 -all"`,
		`_dmarc.partner.test. TXT "v=DMARC1; p=reject"`, `evil.test. TXT "v=spf1 ip4:192.0.2.66 -all"`,
		`_dmarc.strict.test. TXT "v=DMARC1; p=reject; adkim=s"`)
	for _, domain := range []string{"partner.test", "mail.partner.test", "evil.test", "partner-test.test",
		"mail.strict.test", "lists.test"} {
		dns.Add(t, "s1._domainkey."+domain+". "+record)
	}
	dns.Fail("s1._domainkey.away.test")
	redis := server.StartRedis(t, "--appendfsync", "no")
	store, err := holdstore.Open(holdstore.Options{Addresses: []string{redis.Addr}, Durability: "relaxed"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	verifier := authenticate.New(authenticate.NewResolver(dns.Addr),
		authenticate.Options{Methods: []string{"dkim", "spf", "dmarc"},
			Trust: []string{"mx.corp.test"}, Sealers: []string{"lists.test"}})
	return key, verifier, store, redis
}

// TestVerdictsAreTheTableInTheManual tries every form with every evidence. UPDATE_DOCS=1 writes the table.
func TestVerdictsAreTheTableInTheManual(t *testing.T) {
	t.Parallel()
	key, verifier, store, redis := surroundings(t)
	table := "| evidence | " + strings.Join(forms, " | ") + " | says |\n|---|---|---|---|---|---|\n"
	for _, r := range rows(key) {
		table += "| " + r.evidence + " |"
		for n, form := range forms {
			redis.Do("FLUSHALL")
			o := try(t, r, form, key, verifier, store)
			if o.Verdict.Result != r.verdicts[n] || o.Recall.Form != form ||
				o.Verdict.Result != policy.InboundPass && (r.says == "" || !strings.Contains(o.Verdict.Reason, r.says)) {
				t.Errorf("%s, %s: form %s, %+v\n%+v", r.evidence, form, o.Recall.Form, o.Verdict, o.Evidence)
			}
			table += " " + o.Verdict.Result + " |"
		}
		table += " " + r.says + " |\n"
	}
	sameInManual(t, table)
}

func try(t *testing.T, r row, form string, key ed25519.PrivateKey, verifier *authenticate.Verifier,
	store *holdstore.Store) Assessment {
	t.Helper()
	everybody, _ := policy.ParsePatterns([]string{"*"})
	x := trial{text: mails()[form], domain: "partner.test", covers: []string{"From", "Subject", "Date", "Content-Type"},
		from: anna, to: bert, client: "192.0.2.1",
		rule: policy.InboundRule{Name: "default", Partners: everybody, Require: []string{"aligned"}, MaxAge: 7 * day,
			Rate: 30, Per: time.Hour, OnFail: "reject"},
		known: holdstore.Remembered{MessageID: "<o@partner.test>", From: anna, Recipients: []string{bert},
			Subjects: []string{priceList}, At: time.Now()}}
	r.edit(&x)
	text := x.text
	if x.domain != "" {
		text = sign(t, x.text, x.domain, key, x.covers...)
	}
	if x.after != nil {
		text = x.after(text)
	}
	g := New(Options{AuthservID: "gw.corp.test", Prefixes: []string{"Recall:"}, Rules: policy.InboundRules{x.rule},
		Verifier: verifier, Lists: x.lists}, memory{store, x.away}, nil, quiet{})
	if err := store.Remember(t.Context(), []holdstore.Remembered{x.known}, time.Hour); err != nil {
		t.Fatal(err)
	}
	if x.before != "" {
		m := mailFrom(text, x.from, x.to, x.before)
		m.MessageID = cmp.Or(x.other, m.MessageID)
		g.Assess(t.Context(), m)
	}
	o := g.Assess(t.Context(), mailFrom(text, x.from, x.to, x.client))
	if o.Recall.Form != "" {
		oneAnswer(t, r.evidence+", "+form, o.Disposition)
	}
	return o
}

// sign puts a DKIM signature on top.
func sign(t *testing.T, text, domain string, key ed25519.PrivateKey, covers ...string) string {
	t.Helper()
	var b strings.Builder
	if err := dkim.Sign(&b, strings.NewReader(text), &dkim.SignOptions{Domain: domain, Selector: "s1", Signer: key,
		HeaderKeys: covers}); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// sameInManual compares the table with that of the manual.
func sameInManual(t *testing.T, table string) {
	t.Helper()
	const file = "../../docs/inbound.md"
	manual, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(manual), "| evidence |")
	_, after, ended := strings.Cut(rest, "\n\n")
	if !found || !ended {
		t.Fatalf("%s has no table of verdicts", file)
	}
	if want := before + table + "\n" + after; want != string(manual) {
		if os.Getenv("UPDATE_DOCS") != "" {
			os.WriteFile(file, []byte(want), 0o644)
		}
		t.Errorf("%s says something else; UPDATE_DOCS=1 go test ./internal/inbound writes:\n%s", file, table)
	}
}
