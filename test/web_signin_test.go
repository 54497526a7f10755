package test

import (
	"net/http"
	"strings"
	"testing"
)

// A link that is mailed by Postfix signs in, and whoever asks for many fills nobody's mailbox.
func TestALinkThatIsMailedSignsIn(t *testing.T) {
	t.Parallel()
	g := startOffice(t, "1h")
	w := g.withPage()
	g.message("anna", "mailed@corp.test")
	v := newVisitor(t)
	ask := func(address string) (int, string) { return v.press(w.base+"/sign-in", "mail", "address", address) }
	for range 10 {
		code, text := ask("anna@corp.test")
		if other, same := ask("nobody@corp.test"); code != http.StatusOK || other != code || same != text {
			t.Fatalf("the answers differ: %d %s\n%d %s", code, text, other, same)
		}
	}
	mail := g.report("anna", "Your link to sign in")
	link := w.linkIn(mail)
	if code, text := v.get(link); code != http.StatusOK || strings.Contains(text, g.id("mailed@corp.test")) {
		t.Errorf("before the button: %d\n%s", code, text)
	}
	if code, text := v.press(link, "sign-in"); code != http.StatusOK || !strings.Contains(text, g.id("mailed@corp.test")) {
		t.Errorf("signed in: %d\n%s", code, text)
	}
	if code, _ := newVisitor(t).press(link, "sign-in"); code != http.StatusNotFound {
		t.Errorf("the same link once more: %d", code)
	}
	mails := 0
	for _, d := range g.sink.Got() {
		if strings.Contains(string(d.Data), w.base+"/s/") {
			mails++
		}
	}
	if mails != 1 {
		t.Errorf("20 requests brought %d mails", mails)
	}
	many := 0
	for range 5 {
		if code, _ := ask("anna@corp.test"); code == http.StatusTooManyRequests {
			many++
		}
	}
	if many == 0 {
		t.Error("one network can ask for more than 20 links an hour")
	}
}
