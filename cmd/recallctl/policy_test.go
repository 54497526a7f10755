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
)

// partnerWrites lets a message of anna@partner.test to bert@corp.test come in, and writes its recall to signed.eml and
// without the signature to unsigned.eml; c.toml asks a name server that knows the partner.
func partnerWrites(ts *testscript.TestScript, _ bool, _ []string) {
	const from, to, subject = "anna@partner.test", "bert@corp.test", "the price list"
	key := ed25519.NewKeyFromSeed([]byte("a seed of 32 bytes for this test"))
	dns := server.StartDNS(ts.Value("t").(testing.TB), `partner.test. TXT "v=spf1 ip4:192.0.2.7 -all"`, `_dmarc.partner.test. TXT "v=DMARC1; p=reject"`,
		`s1._domainkey.partner.test. TXT "v=DKIM1; k=ed25519; p=`+base64.StdEncoding.EncodeToString(key.Public().(ed25519.PublicKey))+`"`)
	conf := fmt.Sprintf("[redis]\naddresses = [%q]\n[inbound]\nauthserv_id = \"gw.corp.test\"\ndns = %q\n[inbound.recall]\nrate = \"2/h\"\n", ts.Getenv("REDIS"), dns.Addr)
	ts.Check(os.WriteFile(ts.MkAbs("c.toml"), []byte(conf), 0o600))
	store := storeOf(ts)
	defer store.Close()
	ts.Check(store.Remember(context.Background(), []holdstore.Received{{MessageID: "<o@partner.test>", From: from, Recipients: []string{to},
		Subject: subject, At: time.Now()}}, time.Hour))
	mail := outlook.Recall{From: from, To: to, Subject: subject, Prefix: "Recall:"}.FormB()
	mail = strings.Replace(mail, "Tue, 24 Nov 2026 09:01:00 +0000", time.Now().Format(time.RFC1123Z), 1)
	var signed strings.Builder
	ts.Check(dkim.Sign(&signed, strings.NewReader(mail), &dkim.SignOptions{Domain: "partner.test", Selector: "s1", Signer: key,
		HeaderKeys: []string{"From", "Subject", "Date", "Content-Type"}}))
	ts.Check(os.WriteFile(ts.MkAbs("signed.eml"), []byte(strings.ReplaceAll(signed.String(), "\r\n", "\n")), 0o600))
	ts.Check(os.WriteFile(ts.MkAbs("unsigned.eml"), []byte(mail), 0o600))
}
