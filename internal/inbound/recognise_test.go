package inbound

import (
	"strings"
	"testing"

	"github.com/recall-milter/recall-milter/internal/mailmsg"
	ours "github.com/recall-milter/recall-milter/internal/outlook"
	"github.com/recall-milter/recall-milter/test/outlook"
)

// known are the prefixes of these tests.
var known = ours.Recalls{"Recall:"}

// arriving is a mail that comes in, from its text.
func arriving(text string) *mailmsg.Message {
	m := outlook.Read(text)
	return &m
}

func TestAWinmailInAnyWrappingIsKnown(t *testing.T) {
	r := outlook.Recall{From: "anna@corp.test", To: "b@x.test", Subject: "prices", Prefix: "Terugroepen:"}
	for name, mail := range r.Wrapped() {
		if got := recognise(known, arriving(mail)); body(known, arriving(mail)) == 0 || got.Form != FormTNEF {
			t.Errorf("%s: coming in it is %+v", name, got)
		}
	}
}

// Who vouches for a mail so that filters let its winmail.dat through must know all that is in it.
func TestARecallThatCarriesMoreIsNone(t *testing.T) {
	r := outlook.Recall{From: "anna@partner.test", To: "bert@corp.test", Subject: "x", Prefix: "Recall:"}
	const end = "------=_NextPart_000_0000_01DC--\r\n"
	nextTo := func(mail, part string) string {
		return strings.Replace(mail, end, "------=_NextPart_000_0000_01DC\r\n"+part+"\r\n"+end, 1)
	}
	note := string(outlook.NewTNEF().Attribute(0x00078008, []byte("IPM.Note\x00")).Bytes())
	whole := r.FormA()
	for name, c := range map[string]struct{ mail, form string }{
		"a recall":              {whole, FormTNEF},
		"a third part":          {nextTo(whole, "Content-Type: text/html\r\n\r\n<p>x</p>"), ""},
		"a file in winmail.dat": {r.FormAWith(outlook.WinmailWith([]byte("x"), []byte("MZ"))), ""},
		"two classes in winmail.dat": {r.FormAWith(append([]byte(note), outlook.Winmail([]byte("x"), 65001)[6:]...)),
			""},
		"another winmail.dat next to it":      {nextTo(whole, "Content-Type: application/ms-tnef\r\n\r\n"+note), ""},
		"another winmail.dat of another name": {nextTo(whole, "Content-Type: application/octet-stream\r\n\r\n"+note), ""},
		"a broken winmail.dat next to it":     {nextTo(whole, "Content-Type: x/y; name=WINMAIL.DAT\r\n\r\nxxx"), ""},
		"a file next to it": {nextTo(whole,
			"Content-Type: application/octet-stream\r\nContent-Disposition: attachment; "+
				"filename=winmail.dat\r\nContent-Transfer-Encoding: x-uuencode\r\n\r\nbegin 644 x"), ""},
		"an encoding that we do not know": {nextTo(whole,
			"Content-Type: text/plain\r\nContent-Transfer-Encoding: base64 (x)\r\n\r\neJ8+Ig=="), ""},
		"an encoding that is wrong": {nextTo(whole,
			"Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\n!eJ8+Ig=="), ""},
		"a multipart that we can't read": {nextTo(whole,
			"Content-Type: multipart/mixed; boundary=b; boundary=b\r\n\r\n--b\r\nContent-Type: application/ms-tnef\r\n\r\n"+note+
				"\r\n--b--"), ""},
		"two types of one part": {nextTo(whole,
			"Content-Type: text/plain\r\nContent-Type: application/ms-tnef\r\n\r\nx"), ""},
		"a mail next to it": {nextTo(whole,
			"Content-Type: message/rfc822\r\n\r\nContent-Type: application/ms-tnef\r\n\r\n"+note), ""},
		"no end": {strings.Replace(whole, end, "", 1), ""},
		"more parts than are looked at": {nextTo(whole, strings.Repeat("\r\n------=_NextPart_000_0000_01DC\r\n\r\nx",
			100)), ""},
		"more depth than is looked at": {nextTo(whole,
			strings.Repeat("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n", 9)+
				"\r\nx"+strings.Repeat("\r\n--b--", 9)), ""},
		"a request with a winmail.dat": {"Content-Type: multipart/report; report-type=recall-request; " +
			"boundary=b\r\n\r\n--b\r\n" +
			"Content-Type: message/recall-request\r\n\r\nRequest-Id: 1\r\nOriginal-Message-ID: " +
			"<a@b>\r\n\r\n--b\r\nContent-Type: application/ms-tnef\r\n\r\n" + note + "\r\n--b--\r\n", ""},
	} {
		if got := recognise(known, arriving(c.mail)).Form; got != c.form {
			t.Errorf("%s: form %q, want %q", name, got, c.form)
		}
	}
}
