package outlook

import (
	"encoding/base64"
	"strings"
)

// Wrapped returns form A in the ways in which programs wrap winmail.dat, all with an ordinary Message-ID.
func (r Recall) Wrapped() map[string]string {
	coded := base64.StdEncoding.EncodeToString(Winmail([]byte(r.Subject), 1252))
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
		"without Outlook's name": strings.Replace(within("Content-Type: application/ms-tnef\r\n"+b64), outlooks,
			"X-MS-TNEF-Correlator: <x>\r\n", 1),
	}
}
