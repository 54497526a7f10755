package test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/recall-milter/recall-milter/test/server"
)

// webSite is the page of a gateway.
type webSite struct {
	g       *gateway
	base    string
	process *os.Process
}

// withPage starts the page of a gateway; settings are further lines of [web] and tables behind it.
func (g *gateway) withPage(settings ...string) *webSite {
	g.t.Helper()
	return g.withPageAt(server.FreeAddr(g.t), settings...)
}

// withPageAt is withPage at an address that the caller has chosen.
func (g *gateway) withPageAt(address string, settings ...string) *webSite {
	g.t.Helper()
	w := &webSite{g: g, base: "http://" + address}
	g.configure(fmt.Sprintf("[web]\nlisten = [%q]\nbase_url = %q\n%s\n", address, w.base, strings.Join(settings, "\n")))
	w.start()
	return w
}

func (w *webSite) start() {
	t, out := w.g.t, &bytes.Buffer{}
	c := exec.Command(filepath.Join(programs, "recall-web"), "-c", w.g.conf)
	c.Stdout, c.Stderr, c.Env = out, out, os.Environ()
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	w.process = c.Process
	t.Cleanup(func() {
		c.Process.Signal(syscall.SIGTERM)
		if err := c.Wait(); err != nil || t.Failed() {
			t.Logf("recall-web ended with %v:\n%s", err, out)
		}
		if crashPattern.Match(out.Bytes()) || bytes.Contains(out.Bytes(), []byte("DATA RACE")) {
			t.Errorf("recall-web crashed:\n%s", out)
		}
	})
	server.Eventually(t, "the page answers", func() bool {
		r, err := http.Get(w.base + "/sign-in")
		if err == nil {
			r.Body.Close()
		}
		return err == nil
	})
}

// visitor is a browser without JavaScript.
type visitor struct {
	t      testing.TB
	client *http.Client
	header http.Header
}

func newVisitor(t testing.TB) *visitor {
	jar, _ := cookiejar.New(nil)
	return &visitor{t, &http.Client{Jar: jar}, http.Header{}}
}

// do makes a request, and returns the status and the body of the answer behind all redirects.
func (v *visitor) do(method, address, kind, body string) (int, string) {
	v.t.Helper()
	r, err := http.NewRequest(method, address, strings.NewReader(body))
	if err != nil {
		v.t.Fatal(err)
	}
	r.Header = v.header.Clone()
	if kind != "" {
		r.Header.Set("Content-Type", kind)
	}
	answer, err := v.client.Do(r)
	if err != nil {
		v.t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		v.t.Fatal(err)
	}
	return answer.StatusCode, string(text)
}

func (v *visitor) get(address string) (int, string) {
	v.t.Helper()
	return v.do("GET", address, "", "")
}

// press sends a form with the button that has a value.
func (v *visitor) press(address, button string, fields ...string) (int, string) {
	v.t.Helper()
	form := url.Values{"act": {button}}
	for n := 0; n+1 < len(fields); n += 2 {
		form.Add(fields[n], fields[n+1])
	}
	return v.do("POST", address, "application/x-www-form-urlencoded", form.Encode())
}

// call makes a request to the API with a token, for a login ("": for the site), and reads the answer.
func (w *webSite) call(token, login, method, path, body string) (status int, answer map[string]any) {
	w.g.t.Helper()
	v := newVisitor(w.g.t)
	v.header.Set("Authorization", "Bearer "+token)
	if login != "" {
		v.header.Set("Recall-On-Behalf-Of", login)
	}
	kind := ""
	if body != "" {
		kind = "application/json"
	}
	status, text := v.do(method, w.base+"/api/v1"+path, kind, body)
	if err := json.Unmarshal([]byte(text), &answer); err != nil {
		w.g.t.Fatalf("%s %s: %d %v\n%s", method, path, status, err, text)
	}
	return status, answer
}

// token makes a token.
func (g *gateway) token(name string, args ...string) string {
	g.t.Helper()
	out, code := g.ctl(append([]string{"token", "new", name}, args...)...)
	if code != 0 {
		g.t.Fatalf("token new: exit %d", code)
	}
	return strings.TrimSpace(out)
}

// id returns the hold ID of a message.
func (g *gateway) id(messageID string) string {
	g.t.Helper()
	out, _ := g.ctl("--json", "show", messageID)
	var h struct{ ID string }
	if err := json.Unmarshal([]byte(out), &h); err != nil || h.ID == "" {
		g.t.Fatalf("%s: %v\n%s", messageID, err, out)
	}
	return h.ID
}

// linkIn finds a link of the page in a mail.
func (w *webSite) linkIn(mail string) string {
	w.g.t.Helper()
	link := regexp.MustCompile(regexp.QuoteMeta(w.base) + `/[ls]/\S+`).FindString(mail)
	if link == "" {
		w.g.t.Fatalf("no link in\n%s", mail)
	}
	return link
}

func TestTheLinkOfTheNoticeTakesAMessageBack(t *testing.T) {
	t.Parallel()
	g := startOffice(t, "1h", `notice = "always"`)
	w := g.withPage()
	g.message("anna", "page@corp.test", "bert@x.test", "carl@x.test")
	link := w.linkIn(g.report("anna", "Waiting until"))
	v := newVisitor(t)
	code, text := v.get(link)
	if code != 200 || !strings.Contains(text, "the price list") || !strings.Contains(text, "carl@x.test") ||
		!strings.Contains(text, "body of page@corp.test") {
		t.Fatalf("the page: %d\n%s", code, text)
	}
	if code, text := v.press(link, ""); code != 200 || !strings.Contains(text, "Nothing was done") {
		t.Errorf("a form without a button: %d\n%s", code, text)
	}
	if got := g.state("page@corp.test"); got != "held" {
		t.Errorf("before the click the message is %q", got)
	}
	for _, step := range []struct{ button, says, state string }{
		{"recall", "Taken back. Nobody will get it.", "recalled"}, {"recall", "Taken back. Nobody", "recalled"},
		{"release", "not possible now", "recalled"}, {"restore", "It waits again.", "held"},
		{"extend 10m", "It waits longer.", "held"}, {"extend 48h", "can&#39;t wait any longer", "held"},
	} {
		if code, text := v.press(link, step.button); code != 200 || !strings.Contains(text, step.says) {
			t.Errorf("%s: %d\n%s", step.button, code, text)
		}
		if got := g.state("page@corp.test"); got != step.state {
			t.Errorf("after %s the message is %q", step.button, got)
		}
	}
	if _, text := v.press(link, "recall-some", "only", "bert@x.test"); !strings.Contains(text, "taken back, never sent") {
		t.Errorf("a recall for one of two:\n%s", text)
	}
	v.press(link, "release")
	server.Eventually(t, "the other recipient gets it", func() bool { return g.arrived("page@corp.test") == 1 })
	if got := fmt.Sprint(g.sink.Got()); strings.Contains(got, "RCPT TO:<bert@x.test>") {
		t.Errorf("it arrived also at the recipient for whom it was recalled")
	}
	server.Eventually(t, "it is released", func() bool { return g.state("page@corp.test") == "released" })
	if _, text := v.press(link, "recall"); !strings.Contains(text, "Too late") {
		t.Errorf("after the release:\n%s", text)
	}
}

func TestAProgramTakesAMessageBackForItsSender(t *testing.T) {
	t.Parallel()
	g := startOffice(t, "1h")
	w := g.withPage()
	g.message("anna", "api@corp.test")
	id, token := g.id("api@corp.test"), g.token("webmail", "--scope", "act", "--for", "anna", "--for", "bert")
	if code, list := w.call(token, "anna", "GET", "/holds", ""); code != 200 || len(list["holds"].([]any)) != 1 {
		t.Fatalf("anna's list: %d %v", code, list)
	}
	for _, c := range []struct {
		login, method, path, body string
		status                    int
		kind                      string
	}{
		{"bert", "GET", "/holds/" + id, "", 404, "/not-found"},
		{"bert", "POST", "/holds/" + id + "/recall", "{}", 404, "/not-found"},
		{"mallory", "GET", "/holds/" + id, "", 403, "/forbidden"},
		{"", "GET", "/holds", "", 403, "/forbidden"},
		{"anna", "GET", "/holds/32VWE3H4VYYPX", "", 404, "/not-found"},
		{"anna", "POST", "/holds/" + id + "/extend", `{"for": "10 minutes"}`, 422, "/invalid"},
		{"anna", "POST", "/holds/" + id + "/recall", `{"recipients": ["b@x.test"]}`, 400, "/invalid"},
		{"anna", "POST", "/holds/" + id + "/recall", `{"only": ["z@x.test"]}`, 422, "/invalid"},
		{"anna", "GET", "/holds?sort=x", "", 400, "/invalid"},
	} {
		status, answer := w.call(token, c.login, c.method, c.path, c.body)
		if status != c.status || !strings.HasSuffix(fmt.Sprint(answer["type"]), c.kind) {
			t.Errorf("%s %s for %q: %d %v", c.method, c.path, c.login, status, answer)
		}
	}
	status, answer := w.call(token, "anna", "POST", "/holds/"+id+"/recall", `{"reason": "wrong list"}`)
	if status != 200 || answer["state"] != "recalled" || answer["outcome"] != "recalled" {
		t.Errorf("recall: %d %v", status, answer)
	}
	if got := g.state("api@corp.test"); got != "recalled" {
		t.Errorf("it is %q", got)
	}
	if out, _ := g.ctl("log", id); !strings.Contains(out, "token webmail for login anna") ||
		!strings.Contains(out, "wrong list") {
		t.Errorf("the audit trail:\n%s", out)
	}
	if out, code := g.ctl("token", "revoke", "webmail"); code != 0 {
		t.Errorf("revoke: %d %s", code, out)
	}
	if status, answer := w.call(token, "anna", "GET", "/me", ""); status != 401 {
		t.Errorf("with a revoked token: %d %v", status, answer)
	}
}
