package inbound

import (
	"strings"
	"testing"

	"github.com/recall-milter/recall-milter/test/outlook"
)

// What passes as a recall is nothing but one: filters treat it with care.
func TestWhatIsNotOnlyARecallIsNone(t *testing.T) {
	r := outlook.Recall{From: "anna@partner.test", To: "bert@corp.test", Subject: "x", Prefix: "Recall:"}
	head, _, _ := strings.Cut(r.FormB(), "Content-Type:")
	const says = "Anna Alt would like to recall the message, \"x\".\r\n"
	text := func(fields, body string) string { return head + fields + "\r\n\r\n" + body }
	page := func(body string) string { return text("Content-Type: text/html; charset=utf-8", body) }
	both := func(parts ...string) string {
		return head + "Content-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\n" + strings.Join(parts, "\r\n--b\r\n") +
			"\r\n--b--\r\n"
	}
	plainPart := "Content-Type: text/plain; charset=utf-8\r\n\r\n" + says
	htmlPart := "Content-Type: text/html; charset=utf-8\r\n\r\n<p>" + says + "</p>"
	office := `<html xmlns:o="urn:schemas-microsoft-com:office:office"><head>` +
		`<meta http-equiv="Content-Type" content="text/html; charset=utf-8"><style>p {margin:0}</style></head>` +
		`<body lang="EN-US" link="blue"><p class="MsoNormal" style="color:black">` + says + `<o:p></o:p></p></body></html>`
	disclaimer := strings.Repeat("This message is for its recipient only; if that is not you, please delete it. ", 30)
	for name, c := range map[string]struct {
		mail string
		is   bool
	}{
		"a text":               {text("Content-Type: text/plain", says), true},
		"a text with a footer": {text("Content-Type: text/plain", says+"\r\n"+disclaimer), true},
		"in Japanese": {text("Content-Type: text/plain; charset=iso-2022-jp\r\nContent-Transfer-Encoding: base64",
			"GyRCJDMkcyRLJEEkTxsoQg=="), true},
		"a page":              {page("<p>" + says + "</p>"), true},
		"a page of Office":    {page(office), true},
		"a text and its page": {both(plainPart, htmlPart), true},
		"three parts":         {both(plainPart, plainPart, htmlPart), false},
		"an inline file":      {text("Content-Type: text/plain; name=x.js", says), false},
		"a file name": {text("Content-Type: text/plain\r\nContent-Disposition: inline; filename=x.txt", says),
			false},
		"a coded file name": {text("Content-Type: text/plain\r\nContent-Disposition: inline; filename*=utf-8''x.txt",
			says), false},
		"an attachment":        {text("Content-Type: text/plain\r\nContent-Disposition: attachment", says), false},
		"a broken disposition": {text("Content-Type: text/plain\r\nContent-Disposition: inline; filename=\"x", says), false},
		"a named part":         {both(plainPart, "Content-Disposition: inline; filename=x.htm\r\n"+htmlPart), false},
		"a program as text":    {text("Content-Type: text/plain", "#!/bin/sh\r\nrm -rf /\r\n"), false},
		"a batch":              {text("Content-Type: text/plain", "@echo off\r\nstart x\r\n"), false},
		"a script": {text("Content-Type: text/plain",
			"var a = 1; var b = a; if (a == b) { c = f(a); d = g(b); }\r\n"), false},
		"a script of Windows": {text("Content-Type: text/plain", "Set s = CreateObject(\"Shell.Application\")\r\n"), false},
		"a page as text":      {text("Content-Type: text/plain", "<html><body>x</body></html>"), false},
		"a binary as text": {text("Content-Type: text/plain\r\nContent-Transfer-Encoding: base64", "TVqQAAMAAAAEAAAA"),
			false},
		"uuencode": {text("Content-Type: text/plain", says+"begin 644 x.exe\r\n#0V%T\r\n`\r\nend\r\n"), false},
		"yEnc": {text("Content-Type: text/plain",
			says+"=ybegin line=128 size=5 name=x.exe\r\nxx\r\n=yend size=5\r\n"), false},
		"a long text":           {text("Content-Type: text/plain", strings.Repeat("word ", 4000)), false},
		"an unknown charset":    {text("Content-Type: text/plain; charset=utf-7", "+ADw-script+AD4-"), false},
		"a script type":         {text("Content-Type: text/javascript", says), false},
		"a calendar":            {text("Content-Type: text/calendar", says), false},
		"a page with a link":    {page(says + `<a href="http://x.test">here</a>`), false},
		"a link in words":       {page("<p>go to https://x.test/</p>"), false},
		"a script in a page":    {page(says + "<script>alert(1)</script>"), false},
		"a handler":             {page(`<p onclick="x()">` + says + "</p>"), false},
		"an image":              {page(says + `<img src="cid:1">`), false},
		"a form":                {page(says + `<form action="x"><input></form>`), false},
		"a frame":               {page(says + `<iframe srcdoc="x"></iframe>`), false},
		"a refresh":             {page(`<meta http-equiv="refresh" content="0;url=http://x.test">` + says), false},
		"a style that loads":    {page(`<p style="background:url(http://x.test)">` + says + "</p>"), false},
		"a sheet that loads":    {page("<style>@import 'x';</style>" + says), false},
		"a background":          {page(`<body background="http://x.test/">` + says), false},
		"drawings":              {page(`<svg onload="x()"></svg>` + says), false},
		"a conditional comment": {page("<!--[if mso]><a href=x>x</a><![endif]-->" + says), false},
		"a script, coded":       {page(says + "&lt;script&gt;"), false},
	} {
		got := recognise(known, arriving(c.mail)).Form
		if (got == FormPlain) != c.is {
			t.Errorf("%s: form %q", name, got)
		}
	}
}
