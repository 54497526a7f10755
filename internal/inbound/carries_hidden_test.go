package inbound

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/recall-milter/recall-milter/test/outlook"
)

// Programs differ in what they find in a mail: whatever any of them may find as a file is more than a recall.
func TestWhatOnlyOtherProgramsFindIsNoPartOfARecall(t *testing.T) {
	r := outlook.Recall{From: "anna@partner.test", To: "bert@corp.test", Subject: "x", Prefix: "Recall:"}
	head, _, _ := strings.Cut(r.FormB(), "Content-Type:")
	const says = "Anna Alt would like to recall the message, \"x\".\r\n"
	const file = "Content-Type: application/x-msdownload; name=x.exe\r\nContent-Transfer-Encoding: " +
		"base64\r\n\r\nTVqQAAMAAAAEAAAA"
	one := func(fields string) string { return head + "Content-Type: text/plain" + fields + "\r\n\r\n" + says }
	around := func(parameters, before, after string) string {
		return head + "Content-Type: multipart/alternative; " + parameters + "\r\n\r\n" + before +
			"--b\r\nContent-Type: text/plain\r\n\r\n" + says + "--b--\r\n" + after
	}
	other := "--c\r\n" + file + "\r\n--c--\r\n"
	for name, c := range map[string]struct {
		mail string
		is   bool
	}{
		"nothing around its parts":     {around("boundary=b", "", ""), true},
		"blank lines around its parts": {around("boundary=b", "\r\n", " \r\n\r\n"), true},
		"what programs say before parts": {around("boundary=b", "This is a multi-part message in MIME format.\r\n\r\n", ""),
			true},
		"a quoted boundary":               {around(`boundary="b"`, "", ""), true},
		"a file before its parts":         {around("boundary=b", "begin 644 x.exe\r\n#0V%T\r\n`\r\nend\r\n", ""), false},
		"a long text before its parts":    {around("boundary=b", strings.Repeat("word ", 201)+"\r\n", ""), false},
		"other parts before its parts":    {around("boundary=b", other, ""), false},
		"the footer of a list":            {around("boundary=b", "", "-- \r\nthe list\r\n_____\r\n"), true},
		"a file behind its parts":         {around("boundary=b", "", "begin 644 x.exe\r\n#0V%T\r\n`\r\nend\r\n"), false},
		"a long text behind its parts":    {around("boundary=b", "", strings.Repeat("word ", 201)), false},
		"other parts behind its parts":    {around("boundary=b", "", other), false},
		"its own parts again behind":      {around("boundary=b", "", "--b\r\n"+file+"\r\n--b--\r\n"), false},
		"a second, coded boundary":        {around("boundary=c; boundary*=utf-8''b", "", ""), false},
		"a boundary in pieces":            {around("boundary*0=b", "", ""), false},
		"a file name in another charset":  {one("\r\nContent-Disposition: inline; filename*=iso-8859-1''x.url"), false},
		"a file name that is coded badly": {one("\r\nContent-Disposition: inline; filename*=x.url"), false},
		"a file name in pieces": {one("\r\nContent-Disposition: inline; filename*0*=iso-8859-1''x; " +
			"filename*1=.url"), false},
		"a name in another charset":        {one("; name*=iso-8859-1''x.url"), false},
		"a parameter that only names more": {one("; charset=utf-8"), true},
	} {
		if got := recognise(known, arriving(c.mail)).Form; (got == FormPlain) != c.is {
			t.Errorf("%s: form %q", name, got)
		}
	}
}

// A winmail.dat of a recall is small: what else is in it, nobody who lets it through would see.
func TestALargeWinmailIsNoRecall(t *testing.T) {
	winmail := func(body int) bool {
		file := outlook.NewTNEF().Attribute(0x00078008, []byte("IPM.Outlook.Recall\x00")).Attribute(0x00060000, make([]byte,
			body)).Bytes()
		return carries(arriving("Content-Type: application/ms-tnef\r\nContent-Transfer-Encoding: base64\r\n\r\n" +
			base64.StdEncoding.EncodeToString(file)))
	}
	if winmail(4<<10) || !winmail(maxWinmail) {
		t.Errorf("small: %v, large: %v", winmail(4<<10), winmail(maxWinmail))
	}
}
