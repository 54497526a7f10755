package web_test

import (
	"strings"
	"testing"
)

// Nobody but an operator learns which rule holds the mail of others.
func TestAPersonTestsTheirOwnMailOnly(t *testing.T) {
	t.Parallel()
	h := open(t, "")
	p := h.program()
	anna, site := h.token("anna", "act", "anna"), h.token("site", "admin")
	for _, c := range []struct {
		token, login, sender string
		code                 int
	}{
		{anna, "anna", "", 200}, {anna, "anna", "Anna@corp.test", 200}, {anna, "anna", "ceo@corp.test", 403},
		{anna, "anna", "nobody@corp.test", 403}, {site, "anna", "ceo@corp.test", 403}, {site, "ceo", "ceo@corp.test", 200},
		{site, "", "ceo@corp.test", 200},
	} {
		code, text := p.do(call{method: "POST", path: "/test", token: c.token, login: c.login,
			body: `{"message": "Subject: x", "recipients": ["x@far.test"], "sender": "` + c.sender + `"}`})
		if code != c.code || c.code == 403 && strings.Contains(text, "executives") {
			t.Errorf("%q tests mail of %q: %d %s", c.login, c.sender, code, text)
		}
	}
}
