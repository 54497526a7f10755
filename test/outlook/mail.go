package outlook

import (
	"encoding/base64"
	"fmt"
	"mime"
	"strings"

	"golang.org/x/text/encoding/htmlindex"
)

// Recall is a recall mail, as Outlook would make it of what the user sees.
type Recall struct {
	From, To string // header values
	Subject  string // of the original, as the user typed it
	Prefix   string // how Outlook names a recall: "Recall:", "撤回:"
	Charset  string // empty: utf-8
}

// FormA is the recall as Outlook submits it by SMTP: multipart/mixed with a winmail.dat.
func (r Recall) FormA() string {
	subject, codepage := []byte(r.Subject), uint32(65001)
	if text, err := r.encoded(r.Subject); err == nil && r.Charset != "" {
		subject, codepage = []byte(text), map[string]uint32{"gb2312": 936, "big5": 950, "ks_c_5601-1987": 949,
			"iso-2022-jp": 50220}[r.Charset]
	}
	return r.FormAWith(Winmail(subject, codepage))
}

// FormAWith is form A with another winmail.dat.
func (r Recall) FormAWith(winmail []byte) string {
	head := r.head("<!~!UENERkVCMDkAAQACAAAAAAAAAAAAAAAAABgAAAAAAAAA@corp.test>")
	return head + "Expiry-Date: Thu, 26 Nov 2026 09:00:00 +0000\r\n" +
		"Content-Type: multipart/mixed;\r\n\tboundary=\"----=_NextPart_000_0000_01DC\"\r\n\r\n" +
		"This is a multipart message in MIME format.\r\n\r\n------=_NextPart_000_0000_01DC\r\n" +
		"Content-Type: text/plain;\r\n\tcharset=\"us-ascii\"\r\nContent-Transfer-Encoding: 7bit\r\n\r\n" +
		"The sender would like to recall the message.\r\n\r\n------=_NextPart_000_0000_01DC\r\n" +
		"Content-Type: application/ms-tnef;\r\n\tname=\"winmail.dat\"\r\nContent-Transfer-Encoding: base64\r\n" +
		"Content-Disposition: attachment;\r\n\tfilename=\"winmail.dat\"\r\n\r\n" + lines(winmail) +
		"\r\n------=_NextPart_000_0000_01DC--\r\n"
}

// FormB is the recall as it leaves Exchange: one text, and fields that only a recall has.
func (r Recall) FormB() string {
	thread, _ := r.word(r.Subject)
	return r.head("<0a1b2c3d@mbx.corp.test>") + "Thread-Topic: " + thread +
		"\r\nThread-Index: AdxbR8bWJTPEVGMbQ06pIH4eXlLzQQ==\r\n" +
		"X-CallingTelephoneNumber: IPM.Note\r\nX-VoiceMessageDuration: 1\r\nX-FaxNumberOfPages: 0\r\n" +
		"Content-Type: text/plain; charset=\"us-ascii\"\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n" +
		"The sender would like to recall the message, \"x\".\r\n"
}

// FormC is the recall that Exchange Online makes in its cloud, for recipients outside.
func (r Recall) FormC() string {
	thread, _ := r.word(r.Subject)
	return "Received: from AM0PR0000001.eurprd01.prod.outlook.com by substrate.office.com with HTTP; Tue, 24 Nov 2026 " +
		"09:01:00 +0000\r\n" +
		r.head("<1f0c2e9a@AM0PR0000001>") + "Thread-Topic: " + thread + "\r\n" +
		"Content-Type: text/plain; charset=\"us-ascii\"\r\n\r\nThe sender would like to recall the message, \"x\".\r\n"
}

func (r Recall) head(messageID string) string {
	subject, _ := r.word(r.Prefix + " " + r.Subject)
	return fmt.Sprintf("From: %s\r\nTo: %s\r\nSubject: %s\r\nDate: Tue, 24 Nov 2026 09:01:00 +0000\r\nMessage-ID: "+
		"%s\r\nMIME-Version: 1.0\r\n",
		r.From, r.To, subject, messageID)
}

// SubjectField is the Subject field's value of the original, in the charset.
func (r Recall) SubjectField() string {
	text, _ := r.word(r.Subject)
	return text
}

// word is an encoded word of RFC 2047, also in charsets that only old programs write.
func (r Recall) word(text string) (string, error) {
	if r.Charset == "" {
		return mime.BEncoding.Encode("utf-8", text), nil
	}
	encoded, err := r.encoded(text)
	return "=?" + r.Charset + "?B?" + base64.StdEncoding.EncodeToString([]byte(encoded)) + "?=", err
}

func (r Recall) encoded(text string) (string, error) {
	e, err := htmlindex.Get(r.Charset)
	if err != nil {
		return "", err
	}
	return e.NewEncoder().String(text)
}

func lines(b []byte) string {
	text := base64.StdEncoding.EncodeToString(b)
	var out strings.Builder
	for len(text) > 76 {
		out.WriteString(text[:76] + "\r\n")
		text = text[76:]
	}
	return out.String() + text + "\r\n"
}
