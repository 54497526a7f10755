package test

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"github.com/emersion/go-msgauth/dkim"

	"github.com/recall-milter/recall-milter/test/server"
)

// TestRecallsInEveryCharsetMeanTheirMessage has From and Subject of a recall in a charset, and those of the message in
// UTF-8. The messages differ in their subjects only.
func TestRecallsInEveryCharsetMeanTheirMessage(t *testing.T) {
	t.Parallel()
	words := map[string]string{
		"=?windows-1250?B?jmx1nW916Gv9IGv58g==?=":      "Žluťoučký kůň",
		"=?Windows-1251?Q?=D6=E5=ED=FB?=":              "Цены",
		"=?windows-1253?B?1Ons3fI=?=":                  "Τιμές",
		"=?windows-1254?B?3XN0YW5idWw=?=":              "İstanbul",
		"=?windows-1255?B?7ufp+Ont?=":                  "מחירים",
		"=?windows-1256?B?w9Pax9E=?=":                  "أسعار",
		"=?windows-1257?B?S2Fpbvgg4Ojm?=":              "Kainų ąčę",
		"=?windows-1258?B?R2nh?=":                      "Giá",
		"=?windows-874?B?w9Kk0g==?=":                   "ราคา",
		"=?koi8-u?B?46bOySCn1sHL?=":                    "Ціни їжак",
		"=?gb18030?B?vNu48bHtlTKCNg==?=":               "价格表𠀀",
		"=?hz-gb-2312?B?fns8Wzhxfn0=?=":                "价格",
		"=?euc-jp?B?ssGzysm9?=":                        "価格表!",
		"=?x-sjis?B?ib+KaZVc?=":                        "価格表",
		"=?cp932?B?ib+KaYdA?=":                         "価格①",
		"=?iso-2022-kr?B?GyQpQw4wITBdRyUP?=":           "가격표",
		"=?uhc?B?sKGw3Yxj?=":                           "가격똠",
		"=?macintosh?B?R3Kap2U=?=":                     "Größe",
		"=?utf-16?B?//5HAHIA9gDfAGUAIAChTzxo?=":        "Größe 価格",
		"=?ibm850?B?R3KU4WU=?=":                        "Größe (2)",
		"=?us-ascii?B?R3LDtsOfZQ==?=":                  "Größe (3)",
		"=?latin-1?B?R3L232U=?=":                       "Größe (4)",
		"=?\"utf-8\"?B?R3LDtsOfZQ==?=":                 "Größe (5)",
		"=?utf-8?q?Gr=c3=b6=c3=9fe und Preis?=":        "Größe und Preis",
		"=?utf-8?Q?Gr=C3?=\r\n =?utf-8?Q?=B6=C3=9Fe?=": "Größe (6)",
		"=?iso-8859-1*de?Q?Gr=F6=DFe?=":                "Größe (7)",
	}
	f := startFrontier(t, "[inbound.recall]\nrate = \"1000/h\"\n")
	n := 0
	for _, subject := range words {
		n++
		f.must(f.comesIn(partnerFrom, insider, fmt.Sprintf("From: %s\r\nTo: %s\r\nSubject: =?utf-8?B?%s?=\r\nDate: %s\r\n"+
			"Message-ID: <%x@partner.test>\r\n\r\nbody\r\n", partnerFrom, insider,
			base64.StdEncoding.EncodeToString([]byte(subject)), earlier(), subject)))
	}
	server.Eventually(t, "all are remembered", func() bool { return f.remembers(n) })
	for word, subject := range words {
		mark := ""
		if _, number, ok := strings.Cut(subject, "("); ok { // one charset more for the same word
			mark = " (" + number
		} else if strings.HasSuffix(subject, "!") {
			mark = "!"
		}
		id := fmt.Sprintf("<r%x@partner.test>", subject)
		mail := strings.NewReplacer("<0a1b2c3d@mbx.corp.test>", id, "From: "+partnerFrom,
			"From: "+word+" <"+partnerFrom+">", "=?utf-8?q?x?=", "").Replace(formB("SUBJECT"))
		mail = strings.Replace(mail, "Subject: Recall: SUBJECT", "Subject: Recall: "+word+mark, 1)
		mail = f.signed("partner.test", mail, func(o *dkim.SignOptions) { o.HeaderCanonicalization = "relaxed" })
		if err := f.comesIn(partnerFrom, insider, mail); err != nil {
			t.Errorf("%s: %v", word, err)
			continue
		}
		got := f.arriving(id)
		if !strings.Contains(got, "X-Recall-Policy: pass") || !strings.Contains(got, fmt.Sprintf("target=<%x@", subject)) {
			t.Errorf("%s:\n%.700s", word, got)
		}
	}
}
