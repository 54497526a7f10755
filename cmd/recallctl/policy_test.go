package main

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-msgauth/dkim"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/test/outlook"
	"github.com/recall-milter/recall-milter/test/server"
	"github.com/recall-milter/recall-milter/test/signing"
)

var partnerKey = ed25519.NewKeyFromSeed([]byte("a seed of 32 bytes for this test"))

// partnerWrites lets a message of anna@partner.test to bert@corp.test come in, and writes its recall, signed in several
// ways and not at all; c.toml asks a name server that knows the partner. trust.toml believes mx.corp.test and asks
// nobody, and its rule for the partner wants a Cancel-Key; arc.toml names lists.test.
func partnerWrites(ts *testscript.TestScript, _ bool, _ []string) {
	const from, to, subject = "anna@partner.test", "bert@corp.test", "the price list"
	partnerConfigs(ts)
	store := storeOf(ts)
	defer store.Close()
	ts.Check(store.Remember(context.Background(),
		[]holdstore.Remembered{{MessageID: "<o@partner.test>", From: from, Recipients: []string{to},
			Subjects: []string{subject}, At: time.Now()}}, time.Hour))
	mail := outlook.Recall{From: from, To: to, Subject: subject, Prefix: "Recall:"}.FormB()
	mail = strings.Replace(mail, "Tue, 24 Nov 2026 09:01:00 +0000", time.Now().Format(time.RFC1123Z), 1)
	signed := partnerSigns(ts, mail, "From", "Subject", "Date", "Content-Type")
	sealer := signing.Sealer{Domain: "lists.test", Key: partnerKey, Results: "dmarc=pass header.from=partner.test"}
	for name, text := range map[string]string{"unsigned": mail, "signed": strings.ReplaceAll(signed, "\r\n", "\n"),
		"sealed":   sealer.Seal(mail),
		"bare":     partnerSigns(ts, mail, "From", "Date"),
		"believed": "Authentication-Results: mx.corp.test/4A3B2C; dkim=pass header.d=partner.test\r\n" + signed} {
		ts.Check(os.WriteFile(ts.MkAbs(name+".eml"), []byte(text), 0o600))
	}
}

func partnerConfigs(ts *testscript.TestScript) {
	t := ts.Value("t").(testing.TB)
	record := `TXT "v=DKIM1; k=ed25519; p=` + base64.StdEncoding.EncodeToString(partnerKey.Public().(ed25519.PublicKey)) +
		`"`
	dns := server.StartDNS(t, `partner.test. TXT "v=spf1 ip4:192.0.2.7 -all"`,
		`_dmarc.partner.test. TXT "v=DMARC1; p=reject"`,
		"s1._domainkey.partner.test. "+record, "s1._domainkey.lists.test. "+record)
	for name, more := range map[string][2]string{"c": {}, "arc": {"arc_sealers = [\"lists.test\"]\n", ""},
		"trust": {"trust = [\"mx.corp.test\"]\nverify = []\n",
			"[[inbound.recall.rule]]\nname = \"friends\"\npartners = [\"partner.test\"]\nrequire = [\"aligned\", " +
				"\"cancel_key\"]\non_fail = \"quarantine\"\n"}} {
		text := fmt.Sprintf("[redis]\naddresses = [%q]\n[inbound]\nauthserv_id = \"gw.corp.test\"\ndns = "+
			"%q\n%s[inbound.recall]\nrate = \"2/h\"\n%s",
			ts.Getenv("REDIS"), dns.Addr, more[0], more[1])
		ts.Check(os.WriteFile(ts.MkAbs(name+".toml"), []byte(text), 0o600))
	}
}

func partnerSigns(ts *testscript.TestScript, mail string, fields ...string) string {
	var signed strings.Builder
	ts.Check(dkim.Sign(&signed, strings.NewReader(mail),
		&dkim.SignOptions{Domain: "partner.test", Selector: "s1", Signer: partnerKey, HeaderKeys: fields}))
	return signed.String()
}
