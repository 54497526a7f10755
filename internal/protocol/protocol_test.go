package protocol

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/recall-milter/recall-milter/internal/mailmsg"
	"github.com/recall-milter/recall-milter/internal/protocol/cancel"
	"github.com/recall-milter/recall-milter/policy"
)

// specified returns the example of the specification for a part.
func specified(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/protocol.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(text), "```"+name+"\n")
	example, _, _ := strings.Cut(rest, "```")
	if !found || example == "" {
		t.Fatal("the specification has no example of " + name)
	}
	return strings.ReplaceAll(example, "\n", "\r\n")
}

// reporting is a mail with such a part.
func reporting(kind, part string) *mailmsg.Message {
	body := "--b\r\nContent-Type: text/plain\r\n\r\nfor people\r\n--b\r\nContent-Type: message/" + kind + "\r\n\r\n" +
		part + "\r\n--b--\r\n"
	return &mailmsg.Message{Body: []byte(body), Fields: []policy.Field{{Name: "Content-Type",
		Value: " multipart/report; report-type=" + kind + "; boundary=b"}}}
}

func TestTheSpecificationsRequestIsOurs(t *testing.T) {
	q := Request{ID: "QZVPT2X8928PUC3WEZFSS8GQ3T", MessageID: "<12345@mid.example>", Sender: "anna@corp.example",
		Date:       "Tue, 24 Nov 2026 09:00:00 +0000",
		Recipients: []string{"bert@far.example", "jörg@far.example"},
		Keys:       []cancel.Element{cancel.Key([]byte("ExampleSecret"), "", "<12345@mid.example>")}, Reason: "wrong list"}
	if diff := cmp.Diff(specified(t, "recall-request"), q.String()); diff != "" {
		t.Error(diff)
	}
	got, ok := ParseRequest(reporting("recall-request", specified(t, "recall-request")))
	if diff := cmp.Diff(q, got); !ok || diff != "" {
		t.Error(ok, diff)
	}
}

func TestTheSpecificationsStatusIsOurs(t *testing.T) {
	s := Status{RequestID: "QZVPT2X8928PUC3WEZFSS8GQ3T", MessageID: "<12345@mid.example>",
		Recipients: []StatusOf{{"bert@far.example", StatusRetracted, "unread, in the inbox"}, {"jörg@far.example", StatusRead,
			""}}}
	if diff := cmp.Diff(specified(t, "recall-status"), s.String()); diff != "" {
		t.Error(diff)
	}
	got, ok := ParseStatus(reporting("recall-status", specified(t, "recall-status")))
	if diff := cmp.Diff(s, got); !ok || diff != "" {
		t.Error(ok, diff)
	}
}

func TestWhatIsNoRequestToTheLetterIsNone(t *testing.T) {
	const good = "Request-Id: 1\r\nOriginal-Message-ID: <a@b.test>\r\n"
	for name, part := range map[string]string{
		"empty":                  "",
		"no ID":                  "Original-Message-ID: <a@b.test>\r\n",
		"no message":             "Request-Id: 1\r\n",
		"no Message-ID":          "Request-Id: 1\r\nOriginal-Message-ID: all of them\r\n",
		"said twice":             good + "Original-Message-ID: <c@b.test>\r\n",
		"a line that is none":    good + "please\r\n",
		"folded":                 good + "Reason: a\r\n b\r\n",
		"a name with a blank":    good + "Original Recipient: x\r\n",
		"a long line":            good + "Reason: " + strings.Repeat("x", 5000) + "\r\n",
		"more than is looked at": good + strings.Repeat("\r\nOriginal-Recipient: rfc822; a@b.test\r\n", maxAsked+1),
	} {
		if q, ok := ParseRequest(reporting("recall-request", part)); ok {
			t.Errorf("%s: %+v", name, q)
		}
	}
	if _, ok := ParseRequest(reporting("recall-request", good)); !ok {
		t.Error("the good one is none")
	}
	if _, ok := ParseRequest(reporting("recall-status", good)); ok {
		t.Error("a status is a request")
	}
}

func TestReceiptsOfProgramsAndServersAreRead(t *testing.T) {
	read := reporting("disposition-notification",
		"Final-Recipient: rfc822;bert@far.test\r\nOriginal-Message-ID: <1@corp.test>\r\nDisposition: "+
			"manual-action/MDN-sent-manually; displayed\r\n")
	delivered := reporting("delivery-status",
		"Reporting-MTA: dns; mx.far.test\r\n\r\nFinal-Recipient: rfc822; bert@far.test\r\nAction: "+
			"delivered\r\nDiagnostic-Code: smtp; 250\r\n    ok\r\n"+
			"--b\r\nContent-Type: text/rfc822-headers\r\n\r\nSubject: x\r\nMessage-ID: <1@corp.test>\r\n")
	for what, m := range map[string]*mailmsg.Message{"displayed": read, "delivered": delivered} {
		if diff := cmp.Diff([]Receipt{{"<1@corp.test>", "bert@far.test", what}}, ParseReceipts(m)); diff != "" {
			t.Error(what, diff)
		}
	}
	if all := ParseReceipts(reporting("delivery-status", "Reporting-MTA: dns; x\r\n")); len(all) > 0 {
		t.Errorf("about nothing: %+v", all)
	}
	groups := ""
	for n := range maxReceipts + 10 {
		groups += fmt.Sprintf("\r\nFinal-Recipient: rfc822; b%d@far.test\r\nAction: relayed\r\n", n)
	}
	many := ParseReceipts(reporting("delivery-status",
		"Reporting-MTA: dns; x\r\n"+groups+"--b\r\nContent-Type: message/rfc822\r\n\r\nMessage-ID: "+
			"<1@corp.test>\r\n\r\nx\r\n"))
	if len(many) != maxReceipts || many[1] != (Receipt{"<1@corp.test>", "b1@far.test", "relayed"}) {
		t.Errorf("of many recipients %d are read: %+v", len(many), many)
	}
}

// FuzzProtocol reads any part as request and as status; what is written of it is read as the same.
func FuzzProtocol(f *testing.F) {
	f.Add("Request-Id: 1\r\nOriginal-Message-ID: <a@b.test>\r\nCancel-Key: sha256:YQ==\r\n\r\nOriginal-Recipient: " +
		"rfc822; a@b.test\r\n")
	f.Add("Request-Id: 1\nOriginal-Message-ID: <\x05@b.test>\n")
	f.Add("Request-Id: \x00\nOriginal-Message-ID: <a@b.test>\n")
	f.Add("Request-Id: 1\n\nFinal-Recipient: utf-8; ö@b.test\nOutcome: RETRACTED\nDiagnostic: x\x00y\n")
	f.Fuzz(func(t *testing.T, part string) {
		if q, ok := ParseRequest(reporting("recall-request", part)); ok {
			again, _ := ParseRequest(reporting("recall-request", q.String()))
			if again.ID != q.ID || again.MessageID != q.MessageID || len(q.Recipients) > maxAsked {
				t.Errorf("%+v is read as %+v", q, again)
			}
		}
		ParseReceipts(reporting("delivery-status", part))
		if s, ok := ParseStatus(reporting("recall-status", part)); ok && len(s.Recipients) > maxAsked {
			t.Errorf("%d recipients", len(s.Recipients))
		}
	})
}
