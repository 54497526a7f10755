package test

import (
	"cmp"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-msgauth/dkim"

	"github.com/recall-milter/recall-milter/test/server"
	"github.com/recall-milter/recall-milter/test/signing"
)

// forgery is a recall command that must not act.
type forgery struct {
	from, to string // envelope; empty: the partner, the insider
	mail     string
	says     string // part of the refusal; where it is only delivered without effect, of the verdict none
	none     bool
}

// replaced changes text that must be there, after the signature or before it.
func replaced(t *testing.T, mail, from, to string) string {
	t.Helper()
	if !strings.Contains(mail, from) {
		t.Fatalf("%q is not in\n%s", from, mail)
	}
	return strings.Replace(mail, from, to, 1)
}

func (f *frontier) forgeries() map[string]forgery {
	t, a, r := f.t, formA("the price list"), request("o@partner.test")
	by := func(domain, mail string) string { return f.signed(domain, mail) }
	ours := func(mail, from string) string { return replaced(t, mail, partnerFrom, from) }
	keys := func(names ...string) func(*dkim.SignOptions) {
		return func(o *dkim.SignOptions) { o.HeaderKeys = names }
	}
	const unproven, plain = "550 5.7.1 recall refused: sender not authenticated", "From is not one plain address"
	ordinary := strings.NewReplacer("X-CallingTelephoneNumber: IPM.Note\r\nX-VoiceMessageDuration: "+
		"1\r\nX-FaxNumberOfPages: 0\r\n", "").Replace(formB("the price list"))
	again := by("partner.test", replaced(t, a, "<!~!", "<!~!again"))
	return map[string]forgery{
		"unsigned, Outlook":        {mail: a, says: unproven},
		"unsigned, Exchange":       {mail: formB("the price list"), says: unproven},
		"unsigned, request":        {mail: r, says: unproven},
		"signed by another domain": {mail: by("evil.test", a), says: unproven},
		"SPF of another domain":    {from: "x@evil.test", mail: a, says: unproven},
		"changed subject":          {mail: replaced(t, again, "Subject: ", "Subject: x"), says: unproven},
		"changed body":             {mail: replaced(t, again, "The sender would", "The Sender would"), says: unproven},
		"subject not signed": {mail: f.signed("partner.test", a, keys("From", "Date", "Content-Type")),
			says: "does not cover Subject"},
		"content type not signed": {mail: f.signed("partner.test", r, keys("From", "Date", "Subject")),
			says: "does not cover Content-Type"},
		"key rotated away": {mail: f.signed("partner.test", a, func(o *dkim.SignOptions) { o.Selector = "old" }),
			says: unproven},
		"l= tag put in": {mail: replaced(t, again, "DKIM-Signature: ", "DKIM-Signature: l=10; "), says: unproven},
		"l= tag of its own signer": {mail: signing.Partly(r, "partner.test", f.key, "From:Subject:Date:Content-Type", 20),
			says: "insecure body length tag"},
		"a field that is oversigned": {mail: "X-CallingTelephoneNumber: IPM.Note\r\nX-VoiceMessageDuration: " +
			"1\r\nX-FaxNumberOfPages: 0\r\n" +
			f.signed("partner.test", ordinary, keys("From", "Subject", "Date", "Content-Type", "X-CallingTelephoneNumber")),
			says: unproven},
		"second From on top":    {mail: "From: x@evil.test\r\n" + again, says: "more than one field From"},
		"second Subject on top": {mail: "Subject: Recall: other\r\n" + again, says: "more than one field Subject"},
		"two authors":           {mail: ours(a, partnerFrom+", x@evil.test"), says: plain},
		"group":                 {mail: ours(a, "friends: "+partnerFrom+";"), says: plain},
		"empty group":           {mail: ours(a, "friends:;"), says: plain},
		"display name": {from: "x@evil.test", mail: ours(a, `"`+partnerFrom+`" <x@evil.test>`),
			says: "reason=no message of that sender to that recipient is known; domain=evil.test", none: true},
		"lookalike domain":       {mail: by("partner.test", ours(a, "anna@partner-test.test")), says: unproven},
		"subdomain of the other": {mail: by("evil.test", ours(a, "anna@partner.test.evil2.test")), says: unproven},
		"IDNA lookalike":         {mail: by("partner.test", ours(a, "anna@xn--prtner-4nf.test")), says: unproven},
		"our own domain from outside": {from: insider, mail: ours(a, insider),
			says: "forged, a local domain without evidence"},
		"null sender": {from: "-", mail: again, says: "null sender"},
		"forged results in our name": {mail: "Authentication-Results: gw.corp.test; dkim=pass header.d=partner.test; " +
			"dmarc=pass\r\n" + a, says: unproven},
		"results without authserv-id": {mail: "Authentication-Results: dkim=pass header.d=partner.test; dmarc=pass\r\n" + a,
			says: unproven},
		"expired": {mail: by("partner.test",
			replaced(t, a, "Expiry-Date: ", "Expiry-Date: Tue, 24 Nov 2020 09:00:00 +0000\r\nX-Old: ")), says: "expired"},
		"old": {mail: by("partner.test",
			replaced(t, r, "Date: ", "Date: "+time.Now().Add(-8*24*time.Hour).Format(time.RFC1123Z)+"\r\nX-Date: ")),
			says: "expired"},
		"from the future": {mail: by("partner.test",
			replaced(t, r, "Date: ", "Date: "+time.Now().Add(24*time.Hour).Format(time.RFC1123Z)+"\r\nX-Date: ")),
			says: "expired"},
		"DNS says nothing": {from: "x@away.test", mail: by("away.test", ours(a, "x@away.test")), says: "451 4.7.1"},
		"larger than any recall": {mail: by("partner.test",
			strings.Replace(r, "--b--", "--b\r\n\r\n"+strings.Repeat(strings.Repeat("x", 70)+"\r\n", 16000)+"--b--", 1)),
			says: "too large"},
	}
}

func TestForgedRecallsAreRefusedAndSayWhy(t *testing.T) {
	eachMTA(t, func(t *testing.T, k kind) {
		f := k.frontier(t, "")
		f.original("o@partner.test", "the price list", insider)
		for name, forged := range f.forgeries() {
			err := f.comesIn(forged.sender(), insider, "X-Name: "+name+"\r\n"+forged.mail)
			switch {
			case forged.none && err == nil:
				f.tagged(name, "X-Recall-Policy: none; ", forged.says)
			case forged.none || !refused(err, forged.says) || !refused(err, "550 5.7.1 recall refused: ") &&
				name != "DNS says nothing":
				t.Errorf("%s: %v", name, err)
			}
		}
		f.nothingActed()
	})
}

func TestForgedRecallsAreTagged(t *testing.T) {
	t.Parallel()
	f := startFrontier(t, "[inbound.recall]\non_fail = \"tag\"\n")
	f.original("o@partner.test", "the price list", insider)
	for name, forged := range f.forgeries() {
		f.must(f.comesIn(forged.sender(), insider, "X-Name: "+name+"\r\n"+forged.mail))
		verdict := "X-Recall-Policy: fail; reason="
		if forged.none {
			verdict = "X-Recall-Policy: none; "
		}
		f.tagged(name, verdict,
			strings.NewReplacer("550 5.7.1 recall refused: ", "", "451 4.7.1", "DNS could not be asked").Replace(forged.says))
	}
	f.nothingActed()
}

// sender is the envelope sender of a forgery.
func (f forgery) sender() string {
	switch f.from {
	case "":
		return partnerFrom
	case "-":
		return ""
	}
	return f.from
}

// tagged waits for the mail of a name, and looks for the verdict on it.
func (f *frontier) tagged(name, verdict, says string) {
	f.t.Helper()
	head, _, _ := strings.Cut(f.arriving("X-Name: "+name+"\r\n"), "\r\n\r\n")
	if !strings.Contains(head, verdict) || !strings.Contains(head, says) || !strings.Contains(head, "x-recall=fail") {
		f.t.Errorf("%s: want %s %s in\n%s", name, verdict, says, head)
	}
}

// refused says whether the reply has some words.
func refused(err error, words string) bool {
	return err != nil && strings.Contains(strings.ReplaceAll(err.Error(), `"`, ""), words)
}

// nothingActed: nobody would act on what was delivered as on a command.
func (f *frontier) nothingActed() {
	f.t.Helper()
	for _, d := range f.sink.Got() {
		if text := string(d.Data); strings.Contains(text, "X-Recall-Policy: pass") ||
			strings.Contains(text, "x-recall=pass") {
			f.t.Errorf("vouched for:\n%.1500s", text)
		}
	}
}

func TestAnAuthenticRecallOfNothingKnownIsOrdinaryMail(t *testing.T) {
	t.Parallel()
	f := startFrontier(t, "")
	f.original("o@partner.test", "the price list", insider)
	for name, c := range map[string]forgery{
		"another recipient": {to: "carl@corp.test", mail: f.signed("partner.test", formA("the price list"))},
		"another sender": {mail: f.signed("partner.test",
			replaced(t, formB("the price list"), partnerFrom, "mallory@partner.test"))},
		"another subject": {mail: f.signed("partner.test", replaced(t, formA("something else"), "<!~!", "<!~!2"))},
		"another id":      {mail: f.signed("partner.test", request("other@partner.test"))},
	} {
		f.must(f.comesIn(partnerFrom, cmp.Or(c.to, insider), "X-Name: "+name+"\r\n"+c.mail))
		f.tagged(name, "X-Recall-Policy: none; ",
			"reason=no message of that sender to that recipient is known; domain=partner.test")
	}
	f.nothingActed()
}

// Outlook's recalls name sender and subject only, which anybody can type: more of such mail than one room keeps, from
// another network, neither hides the sender's own message nor takes its place.
func TestForgedMailDoesNotTakeTheOriginalsPlace(t *testing.T) {
	t.Parallel()
	const author, own, stranger = "anna@ally.test", "127.0.1.2", "127.0.2.2"
	f := startFrontier(t, "")
	f.dns.Add(t, `ally.test. TXT "v=spf1 ip4:`+own+` -all"`)
	f.dns.Add(t, `_dmarc.ally.test. TXT "v=DMARC1; p=reject"`)
	message := func(client, id string) {
		f.must(sendAs(client, f.mta.smtp, author, insider,
			fmt.Sprintf("From: %s\r\nTo: %s\r\nSubject: the price list\r\nMessage-ID: <%s@ally.test>\r\n\r\nbody\r\n", author,
				insider, id)))
	}
	message(own, "o")
	const forged = 25
	for n := range forged {
		message(stranger, fmt.Sprint(n))
	}
	server.Eventually(t, "all are remembered", func() bool { return f.remembers(forged + 1) })
	recall := replaced(t, formB("the price list"), partnerFrom, author)
	if err := sendAs(stranger, f.mta.smtp, author, insider, recall); !refused(err, "not authenticated") {
		t.Errorf("a stranger's recall: %v", err)
	}
	f.must(sendAs(own, f.mta.smtp, author, insider, recall))
	f.arriving("X-Recall-Policy: pass; reason=aligned; domain=ally.test; target=<o@ally.test>")
}

// A replay comes from another client, or to another recipient: here with another envelope sender.
func TestACommandServesOnce(t *testing.T) {
	eachMTA(t, func(t *testing.T, k kind) {
		f := k.frontier(t, "")
		f.original("o@partner.test", "the price list", insider)
		mail := f.signed("partner.test", formA("the price list"))
		f.must(f.comesIn(partnerFrom, insider, mail))
		if err := f.comesIn(partnerFrom, insider, mail); err != nil {
			t.Errorf("the client could not try again: %v", err)
		}
		if err := f.comesIn("x@evil.test", insider, mail); !refused(err, "used before") {
			t.Errorf("a replay: %v", err)
		}
	})
}

func TestForgedRecallsAreQuarantined(t *testing.T) {
	eachMTA(t, func(t *testing.T, k kind) {
		keep := k.frontier(t, "[inbound.recall]\non_fail = \"quarantine\"\n")
		keep.must(keep.comesIn(partnerFrom, insider, formA("the price list")))
		if log := keep.mta.log(); !strings.Contains(log, "milter triggers HOLD action") &&
			!strings.Contains(log, "quarantine") || len(keep.sink.Got()) > 0 {
			t.Errorf("it is not kept back:\n%s", log)
		}
	})
}

func TestRecallsDoNothingWhileRedisIsAway(t *testing.T) {
	t.Parallel()
	f := startFrontier(t, "")
	f.redis.Kill()
	if err := f.comesIn(partnerFrom, insider, f.signed("partner.test", formA("x"))); !refused(err, "451 4.7.1") {
		t.Errorf("a recall without Redis: %v", err)
	}
	f.must(f.comesIn(partnerFrom, insider, "From: "+partnerFrom+"\r\nSubject: hello\r\n\r\nbody of ordinary mail\r\n"))
	f.arriving("body of ordinary mail")
}

// Whatever DNS says or does not say, a genuine recall and a forged one have no effect; what may end differently later
// is asked for again.
func TestRecallsDoNothingWhileDNSIsSilentOrTalksNonsense(t *testing.T) {
	t.Parallel()
	reject, tag := startFrontier(t, ""), startFrontier(t, "[inbound.recall]\non_fail = \"tag\"\n")
	// 451 for all else
	replies := map[string]string{"silence": "451 4.7.1", "loop": "550 5.7.1", "binary": "550 5.7.1", "huge": "550 5.7.1"}
	var wg sync.WaitGroup
	for _, how := range append([]string{"silence"}, server.Nonsense...) {
		domain := how + ".test"
		reject.dns.Misbehave(domain, how)
		tag.dns.Misbehave(domain, how)
		mail := reject.signed(domain, replaced(t, formB("the price list"), partnerFrom, "anna@"+domain))
		wg.Go(func() {
			if err := reject.comesIn("anna@"+domain, insider, mail); !refused(err, cmp.Or(replies[how], "451 4.7.1")) {
				t.Errorf("%s: %v", how, err)
			}
		})
		wg.Go(func() {
			if err := tag.comesIn("anna@"+domain, insider, "X-Name: "+how+"\r\n"+mail); err != nil {
				t.Errorf("%s, tagged: %v", how, err)
			}
		})
	}
	wg.Wait()
	for _, how := range append([]string{"silence"}, server.Nonsense...) {
		tag.tagged(how, "X-Recall-Policy: fail; ", "domain="+how+".test")
	}
	reject.nothingActed()
	tag.nothingActed()
}
