package outlook

import (
	"encoding/base64"
	"mime/quotedprintable"
	"regexp"
	"strings"
)

// Wrapped returns form A in the ways in which programs wrap winmail.dat, all with an ordinary Message-ID.
func (r Recall) Wrapped() map[string]string {
	winmail := Winmail([]byte(r.Subject), 1252)
	coded := base64.StdEncoding.EncodeToString(winmail)
	plain := strings.ReplaceAll(r.FormA(), "<!~!", "<")
	head, _, _ := strings.Cut(plain, "Expiry-Date")
	const outlooks = "X-Mailer: Microsoft Outlook 16.0\r\n"
	alone := func(field string) string {
		return head + field + "\r\nContent-Transfer-Encoding: base64\r\n\r\n" + coded + "\r\n"
	}
	within := func(fields string) string {
		return head + outlooks + "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\n" +
			"x\r\n--b\r\n" + fields + "\r\n\r\n" + coded + "\r\n--b--\r\n"
	}
	const b64 = "Content-Transfer-Encoding: base64"
	const octets = "Content-Type: application/octet-stream\r\n"
	return map[string]string{
		"as Outlook does":  strings.Replace(plain, "Expiry-Date", outlooks+"Expiry-Date", 1),
		"the whole mail":   alone("Content-Type: application/ms-tnef"),
		"vnd.ms-tnef":      alone("Content-Type: application/vnd.ms-tnef; name=winmail.dat"),
		"a file name only": within(octets + "Content-Disposition: attachment; filename=\"WINMAIL.DAT\"\r\n" + b64),
		"without any name": within(octets + b64),
		"blanks in base64": strings.Replace(within("Content-Type: application/ms-tnef\r\n"+b64), coded[:8],
			coded[:4]+" \t "+coded[4:8], 1),
		"in capitals": within("CONTENT-TYPE: APPLICATION/MS-TNEF; NAME=WINMAIL.DAT\r\n" +
			"CONTENT-TRANSFER-ENCODING: BASE64"),
		"another file name":  within("Content-Type: application/ms-tnef; name=att00001.dat\r\n" + b64),
		"a name in the type": within("Content-Type: application/octet-stream; name=\"winmail.dat\"\r\n" + b64),
		"called a picture":   within("Content-Type: image/x; name=winmail.dat\r\n" + b64),
		"inline":             within("Content-Type: application/ms-tnef\r\nContent-Disposition: inline\r\n" + b64),
		"a description":      within("Content-Type: application/ms-tnef\r\nContent-Description: winmail.dat\r\n" + b64),
		"short lines": strings.Replace(within("Content-Type: application/ms-tnef\r\n"+b64), coded,
			regexp.MustCompile("....").ReplaceAllString(coded, "$0\r\n"), 1),
		"in quoted-printable": strings.Replace(within("Content-Type: application/ms-tnef\r\n"+
			"Content-Transfer-Encoding: quoted-printable"), coded, quoted(winmail), 1),
		"in binary": strings.Replace(within("Content-Type: application/ms-tnef\r\nContent-Transfer-Encoding: binary"),
			coded, string(winmail), 1),
		"before the text": head + outlooks + "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n" +
			"Content-Type: application/ms-tnef\r\n" + b64 + "\r\n\r\n" + coded + "\r\n--b\r\n\r\nx\r\n--b--\r\n",
		"in an inner multipart": head + outlooks + "Content-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\n" +
			strings.TrimPrefix(within("Content-Type: application/ms-tnef\r\n"+b64), head+outlooks) + "\r\n--c--\r\n",
		"related": strings.Replace(within("Content-Type: application/ms-tnef\r\n"+b64), "multipart/mixed",
			"multipart/related", 1),
		"without Outlook's name": strings.Replace(within("Content-Type: application/ms-tnef\r\n"+b64), outlooks,
			"X-MS-TNEF-Correlator: <x>\r\n", 1),
	}
}

// quoted encodes bytes in quoted-printable.
func quoted(b []byte) string {
	var out strings.Builder
	w := quotedprintable.NewWriter(&out)
	w.Binary = true
	w.Write(b)
	w.Close()
	return out.String()
}
