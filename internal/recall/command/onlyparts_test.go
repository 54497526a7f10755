package command

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/recall-milter/recall-milter/internal/mailmsg"
)

// ONLY counts wherever a program puts the text: a recall that is for some never becomes one for all.
func TestOnlyCountsInEachTextOfAMail(t *testing.T) {
	const head = "Subject: RECALL <one@corp.test>\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
	mail := func(parts ...string) *mailmsg.Message {
		return arriving(head + "--b\r\n" + strings.Join(parts, "\r\n--b\r\n") + "\r\n--b--\r\n")
	}
	text := func(words string) string { return "Content-Type: text/plain\r\n\r\n" + words }
	const file = "Content-Type: application/pdf; name=x.pdf\r\n\r\n%PDF"
	const quoted = "ONLY c@x.test\r\n\r\n-----Original Message-----\r\nONLY d@x.test\r\n"
	page := func(words string) string { return "Content-Type: text/html\r\n\r\n<p>" + words }
	forms := func(kind string, parts ...string) string {
		return "Content-Type: multipart/" + kind + "; boundary=a\r\n\r\n--a\r\n" + strings.Join(parts, "\r\n--a\r\n") +
			"\r\n--a--"
	}
	whole := func(kind string, parts ...string) *mailmsg.Message {
		m := mail(parts...)
		m.Fields[1].Value = strings.Replace(m.Fields[1].Value, "mixed", kind, 1)
		return m
	}
	inner := func(parts ...string) string { return strings.TrimSuffix(forms("mixed", parts...), "\r\n--a--") }
	files := func(n int) []string { return slices.Repeat([]string{file}, n) }
	nested := func(depth int, part string) string {
		for n := range depth {
			b := fmt.Sprintf("n%d", n)
			part = "Content-Type: multipart/mixed; boundary=" + b + "\r\n\r\n--" + b + "\r\n" + part + "\r\n--" + b + "--"
		}
		return part
	}
	const end = "\r\n--b--\r\n"
	cut := func(m *mailmsg.Message, rest string) *mailmsg.Message {
		m.Body = bytes.TrimSuffix(m.Body, []byte(end))
		m.Skip([]byte(rest))
		return m
	}
	for name, c := range map[string]struct {
		mail    *mailmsg.Message
		only    []string
		unclear bool
	}{
		"above a file": {mail(text("ONLY b@x.test"), file), []string{"b@x.test"}, false},
		"behind a file": {mail(text("please"), file, text("ONLY b@x.test")), []string{"b@x.test"},
			false},
		"behind a file, and a page": {mail("Content-Type: text/html\r\n\r\n<p>please", file,
			"Content-Type: text/html\r\n\r\n<p>ONLY b@x.test"), []string{"b@x.test"}, false},
		"in a file": {mail(text("please"),
			"Content-Type: text/plain; name=x.txt\r\n\r\nONLY b@x.test"), nil, false},
		"in both": {mail(text(quoted), file, text("ONLY b@x.test")), []string{"c@x.test",
			"b@x.test"}, false},
		"unclear behind a file": {mail(text("please"), file, text("ONLY: bob")), nil, true},
		"a page behind a file and a plain text": {mail(text("please"), file, page("ONLY b@x.test")), []string{"b@x.test"},
			false},
		"unclear in a page behind a file": {mail(text("please"), file, page("ONLY: bob")), nil, true},
		"in both forms of a text": {mail(forms("alternative", text("ONLY b@x.test"), page("ONLY b@x.test"))),
			[]string{"b@x.test"}, false},
		"in the page only": {mail(forms("alternative", text("This mail is in HTML"),
			page("ONLY b@x.test"))), []string{"b@x.test"}, false},
		"in two texts of two forms": {mail(forms("alternative", text("ONLY b@x.test"), page("ONLY b@x.test")), file,
			forms("alternative", text(""), page("ONLY c@x.test"))), []string{"b@x.test", "c@x.test"}, false},
		"the plain form comes first": {mail(forms("alternative", text("ONLY b@x.test"),
			page("ONLY b@x.test, c@x.test"))), []string{"b@x.test"}, false},
		"a page with files in it": {mail(forms("alternative", text("please"), forms("mixed", page("please"),
			file, page("ONLY b@x.test")))), []string{"b@x.test"}, false},
		"damaged before its end": {mail("Content-Type: text/plain\r\nContent-Transfer-Encoding: " +
			"base64\r\n\r\ncGxlYXNl%\r\nT05MWSBiQHgudGVzdA=="),
			nil, true},
		"in an unknown encoding": {mail("Content-Type: text/plain\r\nContent-Transfer-Encoding: x-uuencode\r\n\r\nbegin"),
			nil, true},
		"encrypted by S/MIME": {mail(text(""), "Content-Type: application/pkcs7-mime; name=smime.p7m\r\n\r\nx"), nil,
			true},
		"encrypted by PGP": {mail("Content-Type: application/pgp-encrypted\r\n\r\nVersion: 1", file), nil, true},
		"in enriched text": {mail("Content-Type: text/enriched\r\n\r\n<bold>ONLY</bold> b@x.test"),
			[]string{"b@x.test"}, false},
		"two texts without a file": {mail(text("ONLY b@x.test"), page("ONLY c@x.test")), []string{"b@x.test",
			"c@x.test"}, false},
		"in the last part that is read": {mail(append(files(98), text("ONLY b@x.test"))...), []string{"b@x.test"}, false},
		"behind more parts":             {mail(append(files(99), text("ONLY b@x.test"))...), nil, true},
		"a list, and more parts behind it": {mail(append([]string{text("ONLY b@x.test")}, files(200)...)...),
			[]string{"b@x.test"}, false},
		"in the deepest part that is read": {mail(nested(7, text("ONLY b@x.test"))), []string{"b@x.test"}, false},
		"in a deeper part":                 {mail(nested(8, text("ONLY b@x.test"))), nil, true},
		"behind a header that is none":     {mail(text("please"), "no field\r\n\r\n", text("ONLY b@x.test")), nil, true},
		"in a part with two types": {mail("Content-Type: application/pdf\r\nContent-Type: text/plain\r\n\r\nONLY b@x.test"),
			nil, true},
		"in parts without a boundary": {mail("Content-Type: multipart/mixed\r\n\r\n--a\r\n" + text("ONLY b@x.test")),
			nil, true},
		"in parts with another boundary": {mail("Content-Type: multipart/mixed; boundary=z\r\n\r\n--a\r\n" +
			text("ONLY b@x.test")), nil, true},
		"in parts that never end": {mail("Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n" +
			text("ONLY b@x.test")), []string{"b@x.test"}, false},
		"in encoded parts": {mail("Content-Type: multipart/mixed; boundary=a\r\nContent-Transfer-Encoding: base64\r\n\r\n" +
			base64.StdEncoding.EncodeToString([]byte("--a\r\n"+text("ONLY b@x.test")+"\r\n--a--\r\n"))), nil, true},
		"in a page of a type that can't be read": {mail("Content-Type: text/html; charset=\"utf-8\r\n\r\n<p>ONLY b@x.test"),
			nil, true},
		"in a type of two charsets": {mail("Content-Type: text/html; charset=a; charset=b\r\n\r\n<p>ONLY b@x.test"),
			nil, true},
		"next to a file of a type that can't be read": {mail(text("please"),
			"Content-Type: application/pdf; name=a b (1).pdf\r\n\r\nx"),
			nil, false},
		"cut before any text": {cut(mail(file), "more"+end), nil, false},
		"cut before a text":   {cut(mail(file), "more\r\n--b\r\n"+text("ONLY b@x.test")+end), nil, true},
		"cut in a file":       {cut(mail(text("please"), file), "more"+end), nil, false},
		"cut in a file, a text behind it": {cut(mail(text("please"), file),
			"more\r\n--b\r\n"+text("ONLY b@x.test")+end), nil, true},
		"cut in a text": {cut(mail(text("please")), "more"+end), nil, true},
		"cut in a text that is all": {cut(arriving("Subject: RECALL <one@corp.test>\r\n\r\nplease"),
			"ONLY b@x.test"), nil, true},
		"cut behind a list": {cut(mail(text("ONLY b@x.test"), file), "more\r\n--b\r\n"+text("x")+end),
			[]string{"b@x.test"}, false},
		"cut in a message that is attached": {cut(mail(text("please"), "Content-Type: message/rfc822\r\n\r\nSubject: x"),
			"\r\n--c\r\n--c--"+end), nil, false},
		"cut in a file of an inner multipart": {cut(mail(inner(text("please"), file)),
			"x\r\n--a\r\n"+text("ONLY b@x.test")+"\r\n--a--"+end),
			nil, true},
		"cut in the last file of an inner multipart": {cut(mail(inner(text("please"), file)), "x\r\n--a--"+end), nil, false},
		"cut in the pictures of a text": {cut(whole("related", forms("alternative", text("please"), page("please")),
			file), "x\r\n--b\r\n"+file+end), nil, false},
		"cut in the pictures of a page": {cut(whole("alternative", text("please"), forms("related", page("please"),
			file)), "x"+end), nil, false},
		"cut in a page that is also plain text": {cut(whole("alternative", text("please"), page("please")),
			"ONLY b@x.test"+end), nil, true},
	} {
		got := Read(c.mail, nil)
		if !slices.Equal(got.Only, c.only) || (got.Unclear != "") != c.unclear || !slices.Equal(got.Refs,
			[]string{"<one@corp.test>"}) {
			t.Errorf("%s: %q %q, only %q", name, got.Refs, got.Unclear, got.Only)
		}
	}
}

// A reply or a forward has a subject that its sender can change.
func TestOnlyCountsInTheSubjectOfAReply(t *testing.T) {
	for subject, want := range map[string]string{
		"Re: prices":                          "",
		"Fwd: ONLY b@x.test":                  "b@x.test",
		"AW: prices, only for b@x.test":       "unclear",
		"Re: prices ONLY b@x.test":            "unclear",
		"Re: only three seats are left today": "",
		"recall LAST only b@x.test":           "b@x.test",
	} {
		got := Read(arriving("Subject: "+subject+"\r\nIn-Reply-To: <one@corp.test>\r\n\r\nplease\r\n"), nil)
		said := strings.Join(got.Only, " ")
		if got.Unclear != "" {
			said = "unclear"
		}
		if said != want {
			t.Errorf("%q: %q, want %q", subject, said, want)
		}
	}
}
