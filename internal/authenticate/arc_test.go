package authenticate

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"os"
	"strings"
	"testing"

	"github.com/recall-milter/recall-milter/policy"
	"github.com/recall-milter/recall-milter/test/server"
	"github.com/recall-milter/recall-milter/test/signing"
)

// parted makes a message of its text.
func parted(text string) Message {
	head, body, _ := strings.Cut(text, "\r\n\r\n")
	m := Message{MailFrom: "list@lists.test", From: "partner.test", Body: []byte(body),
		Cover: []string{"Subject", "Content-Type"}}
	for _, line := range strings.Split(head, "\r\n") {
		if line != "" && (line[0] == ' ' || line[0] == '\t') {
			m.Header[len(m.Header)-1].Value += "\r\n" + line
			continue
		}
		name, value, _ := strings.Cut(line, ":")
		m.Header = append(m.Header, policy.Field{Name: name, Value: value})
	}
	return m
}

func vector(t testing.TB, name string) string {
	t.Helper()
	text, err := os.ReadFile("testdata/arc/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// Chains that another program has sealed; then one byte is another.
func TestChainsOfDkimpyHold(t *testing.T) {
	t.Parallel()
	record := `TXT "` + strings.TrimSpace(vector(t, "key.txt")) + `"`
	record = strings.Replace(record, "p=", `p=" "`, 1) // a string has at most 255 bytes
	record = record[:200] + `" "` + record[200:]
	d := server.StartDNS(t, "s1._domainkey.lists.test. "+record, "s1._domainkey.relay.test. "+record)
	v := New(NewResolver(d.Addr), Options{Sealers: []string{"lists.test", "Relay.test"}})
	one, two := vector(t, "one.eml"), vector(t, "two.eml")
	for name, test := range map[string]struct{ text, why string }{
		"one":            {one, ""},
		"two":            {two, ""},
		"blanks":         {strings.Replace(one, "sender  would", "sender would", 1), ""},
		"body":           {strings.Replace(one, "sender", "Sender", 1), "body hash did not verify"},
		"subject":        {strings.Replace(two, "Subject: [list]", "Subject: [List]", 1), "newest signature does not hold"},
		"newest results": {strings.Replace(two, "i=2; mx.relay", "i=2; MX.relay", 1), "seal 2 does not hold"},
		"older results": {strings.Replace(two, "ARC-Authentication-Results: i=1; mx.lists.test; dkim=pass",
			"ARC-Authentication-Results: i=1; mx.lists.test; dkim=fail", 1), "seal 2 does not hold"},
		"an older signature": {strings.Replace(two, "b=1axG", "b=2axG", 1), "seal 2 does not hold"},
		"an older seal":      {strings.Replace(two, "b=yA6h", "b=zA6h", 1), "seal 2 does not hold"},
		"the first instance": {strings.Replace(two, "ARC-Seal: i=1", "X-Seal: i=1", 1),
			"instance 1 of the chain is not complete"},
		"an instance is there more": {"ARC-Seal: i=2; cv=pass\r\n" + two, "has two ARC-Seal"},
		"a gap":                     {"ARC-Seal: i=4; cv=pass\r\n" + two, "instance 3 of the chain is not complete"},
		"too many":                  {"ARC-Seal: i=51; cv=pass\r\n" + two, "can't be read"},
		"instance 0":                {"ARC-Seal: i=0; cv=pass\r\n" + two, "can't be read"},
	} {
		m := parted(test.text)
		if test.why != "" && (test.text == one || test.text == two) {
			t.Errorf("%s: nothing was changed", name)
		}
		e := v.Check(context.Background(), m)
		if e.Aligned != (test.why == "") || !strings.Contains(e.Why(), test.why) || e.Aligned &&
			(e.Bare != "" || !strings.HasPrefix(e.By, "arc=")) {
			t.Errorf("%s: aligned by %q, %+v", name, e.By, e.ARC)
		}
	}
}

// What a seal is worth depends on who sealed what.
func TestSealsCountForTheNamedOnly(t *testing.T) {
	t.Parallel()
	key := ed25519.NewKeyFromSeed([]byte("a seed of 32 bytes for this test"))
	other := ed25519.NewKeyFromSeed([]byte("another seed of 32 bytes, a key."))
	record := `TXT "v=DKIM1; k=ed25519; p=` + base64.StdEncoding.EncodeToString(key.Public().(ed25519.PublicKey)) + `"`
	d := server.StartDNS(t, "s1._domainkey.lists.test. "+record, "s1._domainkey.evil.test. "+record,
		"s1._domainkey.gone.test. TXT \"v=DKIM1; k=ed25519; p=\"")
	d.Fail("s1._domainkey.away.test")
	v := New(NewResolver(d.Addr), Options{Sealers: []string{"lists.test", "away.test", "gone.test"}})
	const message = "From: anna@partner.test\r\nSubject: Recall: x\r\nContent-Type: text/plain\r\n\r\nbody\r\n"
	passes := signing.Sealer{Domain: "lists.test", Key: key,
		Results: "dkim=pass header.d=partner.test; dmarc=pass header.from=partner.test"}
	edited := func(edit func(*signing.Sealer)) string {
		s := passes
		edit(&s)
		return s.Seal(message)
	}
	for name, test := range map[string]struct{ text, why string }{
		"genuine":        {passes.Seal(message), ""},
		"dkim only":      {edited(func(s *signing.Sealer) { s.Results = "dmarc=none; dkim=pass header.d=partner.test" }), ""},
		"over another's": {passes.Seal(signing.Sealer{Domain: "evil.test", Key: key, Results: "none"}.Seal(message)), ""},
		"over a broken seal": {passes.Seal(signing.Sealer{Domain: "evil.test", Key: other,
			Results: "none"}.Seal(message)), "seal 1 does not hold"},
		"not named": {edited(func(s *signing.Sealer) { s.Domain = "evil.test" }), "not named"},
		"another's on top": {signing.Sealer{Domain: "evil.test", Key: key,
			Results: passes.Results}.Seal(passes.Seal(message)), "not named"},
		"signature of another": {edited(func(s *signing.Sealer) { s.Signer = "evil.test" }), "of another domain"},
		"another key":          {edited(func(s *signing.Sealer) { s.Key = other }), "key is another"},
		"key withdrawn":        {edited(func(s *signing.Sealer) { s.Domain = "gone.test" }), "withdrawn"},
		"cv=fail":              {edited(func(s *signing.Sealer) { s.Validity = "fail" }), "cv=fail"},
		"cv=fail of the newest": {signing.Sealer{Domain: "lists.test", Key: key, Results: passes.Results,
			Validity: "fail"}.Seal(passes.Seal(message)), "cv=fail"},
		"found none": {edited(func(s *signing.Sealer) { s.Results = "dkim=none; dmarc=none header.from=partner.test" }),
			"nothing that is aligned"},
		"found fail": {edited(func(s *signing.Sealer) { s.Results = "dmarc=fail header.from=partner.test" }),
			"nothing that is aligned"},
		"found another From": {edited(func(s *signing.Sealer) { s.Results = "dmarc=pass header.from=evil.test" }),
			"nothing that is aligned"},
		"found in doubt": {edited(func(s *signing.Sealer) {
			s.Results = "dmarc=pass " +
				"header.from=partner.test(.evil.test"
		}), "without doubt"},
		"body length": {edited(func(s *signing.Sealer) { s.More = " l=6;" }), "body length tag"},
		"From not covered": {edited(func(s *signing.Sealer) { s.Fields = "Subject:Content-Type" }),
			"does not cover From"},
		"Subject not covered": {edited(func(s *signing.Sealer) { s.Fields = "From:Content-Type" }),
			"does not cover Subject"},
		"key can't be asked now": {edited(func(s *signing.Sealer) { s.Domain = "away.test" }), "can't be asked for now"},
	} {
		e := v.Check(context.Background(), parted(test.text))
		counts := e.Aligned && e.Bare == ""
		if counts != (test.why == "") || !strings.Contains(e.Why(), test.why) ||
			e.Temporary != strings.Contains(test.why, "now") {
			t.Errorf("%s: %+v\n%s", name, e, e.Why())
		}
	}
}

func FuzzChain(f *testing.F) {
	f.Add(vector(f, "two.eml"))
	f.Add("ARC-Seal: i=1; cv=none; b=\r\nARC-Message-Signature: i=1; h=; bh=\r\nARC-Authentication-Results: i=1\r\n\r\n")
	v := New(NewResolver("127.0.0.1:1"), Options{Sealers: []string{"relay.test"}})
	f.Fuzz(func(t *testing.T, text string) {
		m := Message{From: "partner.test"}
		if text != "" && text[0] != ' ' && text[0] != '\t' {
			m = parted(text)
		}
		ctx, cancel := context.WithCancel(context.Background())
		cancel() // no DNS
		if e := v.Check(ctx, m); e.Aligned || e.DMARC == PermError {
			t.Errorf("aligned without a key, or a panic: %+v", e)
		}
		relaxedBody([]byte(text))
		simpleBody([]byte(text))
	})
}
