package test

import (
	"strings"
	"testing"
)

// TestALargeMessageThatIsForwardedIsRecalled forwards what is larger than what is read of a command. Text behind it
// might say for whom alone the command is: then nothing is recalled.
func TestALargeMessageThatIsForwardedIsRecalled(t *testing.T) {
	eachOffice(t, func(t *testing.T, k kind) {
		g := k.office(t, "1h")
		const head = "Subject: Fwd: the price list\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n"
		for id, behind := range map[string]string{"whole@corp.test": "",
			"some@corp.test": "\r\n--b\r\nContent-Type: text/plain\r\n\r\nONLY b@x.test"} {
			g.message("anna", id, "b@x.test", "c@x.test")
			g.command("anna", head,
				"--b\r\nContent-Type: text/plain\r\n\r\nplease\r\n--b\r\nContent-Type: message/rfc822\r\n\r\n"+
					"Subject: the price list\r\nMessage-ID: <"+id+">\r\n\r\n"+strings.Repeat(strings.Repeat("x", 76)+"\r\n",
					30_000)+behind+"\r\n--b--\r\n")
		}
		text := g.report("anna", "How to recall")
		if whole, some := g.state("whole@corp.test"), g.state("some@corp.test"); whole != "recalled" || some != "held" ||
			!strings.Contains(text, "larger than 1 MB") {
			t.Errorf("without text behind it: %s, with: %s\n%s", whole, some, text)
		}
	})
}
