package web_test

import (
	"strings"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/internal/choice"
)

// chosen is what somebody has chosen, "" when nothing.
func (h *house) chosen(names ...string) string {
	h.t.Helper()
	own, err := h.store.ChosenGrace(h.t.Context(), names...)
	if err != nil {
		h.t.Fatal(err)
	}
	if own == nil {
		return ""
	}
	return own.String()
}

func TestAPersonChoosesTheirOwnGrace(t *testing.T) {
	t.Parallel()
	h := open(t, "[web.sign_in]\nheader = \"Remote-User\"\n")
	anna, p := h.guest("Remote-User", "anna"), h.program()
	token, reader := h.token("crm", "act", "anna"), h.token("reader", "read", "anna")
	me := func(method, body, with string) (int, string) {
		return p.do(call{method: method, path: "/me", token: with, login: "anna", body: body})
	}
	if _, text := me("GET", "", token); !strings.Contains(text, `"grace_range":["0s","1h0m0s"]`) ||
		strings.Contains(text, `"grace":`) {
		t.Errorf("at first: %s", text)
	}
	for body, want := range map[string]int{`{"grace": "2h"}`: 422, `{"grace": "-1m"}`: 422, `{"grace": 1}`: 400, `{}`: 422,
		`{"grace": null}`: 422} {
		if code, text := me("PUT", body, token); code != want {
			t.Errorf("%s: %d %s", body, code, text)
		}
	}
	if code, _ := me("PUT", `{"grace": "5m"}`, reader); code != 403 || h.chosen(choice.Names("anna")...) != "" {
		t.Errorf("a token that may only read: %d", code)
	}
	if code, text := me("PUT", `{"grace": "5m"}`, token); code != 200 || !strings.Contains(text, `"grace":"5m0s"`) {
		t.Errorf("%d %s", code, text)
	}
	if _, page, _ := anna.ask("GET", "/", ""); !strings.Contains(page, `<option value="5m0s" selected>5 min</option>`) ||
		strings.Contains(page, `value="2h0m0s"`) {
		t.Errorf("the page:\n%s", page)
	}
	for _, form := range []string{"act=choose&grace=0s", "grace=1m", "act=choose"} { // only the first is whole
		if code, text, _ := anna.ask("POST", "/me", form); code != 303 || h.chosen("login anna") != "0s" {
			t.Errorf("%s: %d %s", form, code, text)
		}
	}
	for path, says := range map[string]string{"/?did=chosen": "Saved. Your own time is now: Not at all", "/": ""} {
		_, page, _ := anna.ask("GET", path, "")
		if strings.Contains(page, "Saved.") != (says != "") || !strings.Contains(page, says) {
			t.Errorf("%s does not say %q:\n%s", path, says, page)
		}
	}
	if h.chosen("login bert") != "" || h.chosen("login ANNA") != "0s" {
		t.Error("it is not hers alone")
	}
	if code, _, _ := anna.ask("POST", "/me", "act=choose&grace="); code != 303 || h.chosen("login anna") != "" {
		t.Errorf("she can't go back to the site's: %d", code)
	}
	trail := ""
	for e, err := range h.store.Log(t.Context(), time.Time{}, false) {
		if err == nil && e.Verb == "grace" {
			trail += e.By + " " + e.Detail + "\n"
		}
	}
	if want := "token crm for login anna 5m\nlogin anna 0s\nlogin anna as the site says\n"; trail != want {
		t.Errorf("the trail says\n%swant\n%s", trail, want)
	}
}

// A link to one message, a guest and another site choose nothing; without own_grace there is nothing to choose.
func TestWhoProvesNoPersonChoosesNothing(t *testing.T) {
	t.Parallel()
	h := open(t, "[web.sign_in]\nheader = \"Remote-User\"\n")
	for name, g := range map[string]*guest{"a guest": h.guest(),
		"another site": h.guest("Remote-User", "anna", "Origin", "https://evil.test", "Sec-Fetch-Site", "cross-site")} {
		if code, _, _ := g.ask("POST", "/me", "act=choose&grace=0s"); code < 400 || h.chosen("login anna") != "" {
			t.Errorf("%s: %d", name, code)
		}
	}
}
