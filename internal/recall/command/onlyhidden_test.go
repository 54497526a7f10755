package command

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/recall-milter/recall-milter/internal/mailmsg"
)

// ONLY in a place where mail programs differ, or where nobody can say whether it is quoted, is understood or refused.
func TestOnlyIsNeverOverlooked(t *testing.T) {
	const plain, page = "Content-Type: text/plain; charset=utf-8\n\n", "Content-Type: text/html; charset=utf-8\n\n"
	mixed := func(before, parts, behind string) string {
		return "Content-Type: multipart/mixed; boundary=b\n\n" + before + "--b\n" + parts + "\n--b--\n" + behind
	}
	alternative := func(kind, body string) string {
		return "Content-Type: multipart/alternative; boundary=b\n\n--b\n" + plain + "please\n--b\nContent-Type: " + kind +
			"\n\n" + body + "\n--b--\n"
	}
	coded := func(fields, text string) string {
		return fields + "\nContent-Transfer-Encoding: base64\n\n" + base64.StdEncoding.EncodeToString([]byte(text)) + "\n"
	}
	const b, refused = "b@x.test", "refused"
	for name, c := range map[string]struct{ mail, want string }{
		// Lines that look like those of a quote.
		"below a rule with words":         {plain + "please\n--- important ---\nONLY b@x.test\n", refused},
		"on a rule":                       {plain + "please\n--- ONLY Bert ---\n", refused},
		"below a rule of underscores":     {plain + "please\n____________________\nONLY b@x.test\n", refused},
		"below a salutation":              {plain + "Dear recall@corp.test:\n\nONLY b@x.test\n", refused},
		"below the number of the message": {plain + "Message-ID: <one@corp.test>\nONLY b@x.test\n", b},
		"below a header": {plain + "Date: today\nMessage-ID: <one@corp.test>\nTo: c@x.test\n\nONLY b@x.test\n",
			refused},
		"in a signed text": {plain + "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\nONLY b@x.test\n" +
			"-----BEGIN PGP SIGNATURE-----\n\niQEz\n-----END PGP SIGNATURE-----\n", b},
		"below a key": {plain + "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nmQENB\n-----END PGP PUBLIC KEY BLOCK-----\n" +
			"ONLY b@x.test\n", b},
		"in an encrypted text": {plain + "-----BEGIN PGP MESSAGE-----\n\nhQEMA\n-----END PGP MESSAGE-----\n",
			refused},
		"no list":            {plain + "please\n--- important ---\nThanks\n", ""},
		"behind a lone CR":   {plain + "please\rONLY b@x.test\r", b},
		"behind a separator": {plain + "please\u2028ONLY b@x.test", b},

		// Pages.
		"below a head that has no end":  {page + "<html><head><meta name=x><body>ONLY b@x.test", b},
		"below a title that has no end": {page + "<html><head><title>x<body>ONLY b@x.test", refused},
		"below a style that has no end": {page + "<style>p{}<p>ONLY b@x.test", refused},
		"in cells":                      {page + "<table><tr><td>ONLY</td><td>b@x.test</td></tr></table>", b},
		"in the middle of a line":       {page + "please<center>ONLY b@x.test</center>", b},
		"in a list of terms":            {page + "please<dl><dt>ONLY<dd>b@x.test</dl>", b},
		"indented": {page + "please<blockquote style=\"margin: 0 40px\">ONLY<br>b@x.test</blockquote>",
			refused},
		"indented in cells": {page + "please<blockquote><td>ONLY</td><td>b@x.test</td></blockquote>",
			refused},
		"in a quote": {page + "please<blockquote type=cite>ONLY b@x.test</blockquote>", ""},
		"in a quote of a class": {page + "please<blockquote class=gmail_quote>ONLY b@x.test</blockquote>",
			""},
		"in a quote with a line": {page + "please<blockquote style=\"border-left: 2px solid\">ONLY b@x.test</blockquote>",
			""},
		"an indented text without a list": {page + "please<blockquote>Thanks</blockquote>", ""},

		// Parts.
		"before the first part": {mixed("ONLY b@x.test\n", plain+"please", ""), refused},
		"behind the last part":  {mixed("", plain+"please", "ONLY b@x.test\n"), refused},
		"a list's footer": {mixed("This is a MIME mail\n", plain+"please", "_______\nstaff mailing list\n"),
			""},
		"in Markdown":                 {alternative("text/markdown", "ONLY b@x.test"), b},
		"in a form that nobody knows": {alternative("text/x-new", "*b@x.test*"), refused},
		"in a meeting":                {alternative("text/calendar; method=REQUEST", "BEGIN:VCALENDAR"), refused},
		"in rich text":                {alternative("text/rtf", "{\\rtf1 ONLY}"), refused},
		"in rich text of Windows":     {alternative("application/rtf", "{\\rtf1 ONLY}"), refused},
		"in XHTML":                    {alternative("application/xhtml+xml", "<p>ONLY b@x.test</p>"), refused},
		"next to a card": {mixed("", plain+"please\n--b\nContent-Type: text/x-vcard\n\nFN:Anna", ""),
			""},
		"next to a file of rich text": {mixed("", plain+"please\n--b\nContent-Type: application/rtf; name=a.rtf\n\nx", ""),
			""},
		"in a text with a name": {"Content-Type: text/plain; name=mail.txt\n\nONLY b@x.test\n", b},
		"in a part of a mail":   {"Content-Type: message/partial; id=x; number=1; total=2\n\nx\n", refused},
		"in a winmail.dat":      {coded("Content-Type: application/ms-tnef; name=winmail.dat", "x"), refused},
		"next to a winmail.dat": {mixed("", plain+"please\n--b\n"+coded("Content-Type: application/ms-tnef", "x"), ""),
			""},
		"in an unknown charset": {"Content-Type: text/plain; charset=utf-7\n\n+AE8ATgBMAFk- b@x.test\n",
			refused},
		"in two bytes for each letter": {coded("Content-Type: text/plain; charset=us-ascii", "O\x00N\x00L\x00Y\x00 \x00"),
			refused},
		"in UTF-16": {coded("Content-Type: text/plain; charset=utf-16le",
			strings.ReplaceAll("ONLY b@x.test\r\n", "", "\x00")[1:]), b},
		"in ASCII that is called UTF-16": {"Content-Type: text/plain; charset=utf-16\n\nONLY b@x.test\n", refused},
		"in HZ": {"Content-Type: text/plain; charset=hz-gb-2312\n\n~{<:Ky2;NpJ)!#~}\nONLY b@x.test\n",
			b},

		// Subjects.
		"in a reply's subject in an unknown charset": {"Subject: Re: =?x-none?Q?ONLY_b=40x.test?=\n" + plain + "please\n",
			refused},
		"in a second subject": {"Subject: Re: x\nSubject: ONLY b@x.test\n" + plain + "please\n",
			refused},
		"far behind in a subject": {"Subject: Re:" + strings.Repeat(" x", mailmsg.MaxField/2) + " ONLY b@x.test\n" + plain +
			"please\n",
			refused},
		"without the word":              {"Subject: RECALL for b@x.test\n" + plain, refused},
		"with a name":                   {"Subject: RECALL it only for Bert\n" + plain, refused},
		"in the subject of the message": {"Subject: Re: Members only\n" + plain + "please\n", ""},
	} {
		if !strings.HasPrefix(c.mail, "Subject: ") {
			c.mail = "Subject: Re: prices\n" + c.mail
		}
		text := strings.ReplaceAll("In-Reply-To: <one@corp.test>\n"+c.mail, "\n", "\r\n")
		got := Read(arriving(text), []string{"recall@corp.test"})
		said := strings.Join(got.Only, " ")
		if got.Unclear != "" {
			said = refused
		}
		if said != c.want {
			t.Errorf("%s: %q (%s), want %q", name, said, got.Unclear, c.want)
		}
	}
}
