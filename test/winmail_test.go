package test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/recall-milter/recall-milter/test/outlook"
)

// TestAWinmailInAnyWrappingComesInAsARecall recalls one message by form A, wrapped in each way that programs have, with
// a prefix that nobody lists.
func TestAWinmailInAnyWrappingComesInAsARecall(t *testing.T) {
	t.Parallel()
	f := startFrontier(t, "[inbound.recall]\nrate = \"1000/h\"\n")
	f.original("o@partner.test", "prices", insider)
	n := 0
	for name, mail := range (outlook.Recall{From: partnerFrom, To: insider, Subject: "prices",
		Prefix: "Terugroepen:"}).Wrapped() {
		n++
		id := fmt.Sprintf("<w%d@partner.test>", n)
		head, body, _ := strings.Cut(fresh(mail), "\r\n\r\n")
		_, after, _ := strings.Cut(head, "Message-ID: <")
		old, _, _ := strings.Cut(after, ">")
		head = strings.Replace(head, "<"+old+">", id, 1)
		if err := f.comesIn(partnerFrom, insider, f.signed("partner.test", head+"\r\n\r\n"+body)); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := f.arriving(id); !strings.Contains(got, "X-Recall-Policy: pass") {
			t.Errorf("%s:\n%.900s", name, got)
		}
	}
}
