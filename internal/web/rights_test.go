package web_test

import (
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/config"
	"github.com/recall-milter/recall-milter/internal/maillog"
	"github.com/recall-milter/recall-milter/internal/mark"
	"github.com/recall-milter/recall-milter/internal/web"
	"github.com/recall-milter/recall-milter/internal/wiring"
	"github.com/recall-milter/recall-milter/test/server"
)

// house is a page with a store, in which several people's mail waits.
type house struct {
	t      *testing.T
	redis  *server.Redis
	store  *holdstore.Store
	marker *mark.Marker
	url    string
	site   *web.Server
	page   http.Handler      // that of url
	ids    map[string]string // by subject
	log    *server.Output    // of the next page that is opened; nil: nobody reads it
}

const rules = `
[hold]
own_grace = ["0s", "1h"]
[[hold.rule]]
name = "executives"
sender = ["ceo@corp.test"]
delegates = ["assistant"]
[[hold.rule]]
name = "fixed"
sender = ["fixed@corp.test"]
recall = false
`

func open(t *testing.T, settings string) *house {
	t.Helper()
	h := &house{t: t, redis: server.StartRedis(t), marker: mark.New([]byte("secret")), ids: map[string]string{}}
	h.serve(fmt.Sprintf("[redis]\naddresses = [%q]\n%s", h.redis.Addr, rules), settings)
	h.hold("of anna", "anna", "anna@corp.test", "default")
	h.hold("of bert", "bert", "bert@corp.test", "default")
	h.hold("of the boss", "ceo", "ceo@corp.test", "executives")
	h.hold("fixed", "fixed", "fixed@corp.test", "fixed")
	h.hold("no login", "", "relay@corp.test", "default")
	return h
}

// serve opens the store and the page of a config; settings are the lines of its table, and tables behind it.
func (h *house) serve(tables, settings string) {
	t := h.t
	t.Helper()
	listener := httptest.NewUnstartedServer(nil)
	h.url = "http://" + listener.Listener.Addr().String()
	text := fmt.Sprintf("%s\n[web]\nlisten = [\"127.0.0.1:1\"]\nbase_url = %q\n%s", tables, h.url, settings)
	file := filepath.Join(t.TempDir(), "recall-milter.toml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := config.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	if h.store, err = wiring.Store(c); err != nil {
		t.Fatal(err)
	}
	store := h.store
	t.Cleanup(func() { store.Close() })
	log := maillog.Silent()
	if h.log != nil {
		if log, err = wiring.Log(c.Log, h.log); err != nil {
			t.Fatal(err)
		}
	}
	page, err := wiring.Web(c, file, h.store, h.marker, log)
	if err != nil {
		t.Fatal(err)
	}
	h.site, h.page = page, page.Handler()
	listener.Config.Handler = h.page
	listener.Start()
	t.Cleanup(listener.Close)
}

// reopened is the same store with a page of another config.
func (h *house) reopened(settings string) *house {
	h.t.Helper()
	other := *h
	other.serve(fmt.Sprintf("[redis]\naddresses = [%q]\n%s", h.redis.Addr, rules), settings)
	return &other
}

// at is the same browser at another page; hosts of one name share their cookies.
func (g *guest) at(h *house) *guest { return &guest{h, g.client, g.header} }

func (h *house) hold(subject, login, sender, rule string) {
	h.t.Helper()
	h.holdFor(subject, login, sender, holdstore.Terms{Rule: rule, Grace: time.Hour})
}

func (h *house) holdFor(subject, login, sender string, terms holdstore.Terms) {
	h.t.Helper()
	server.Eventually(h.t, subject+" is held", func() bool {
		put := h.store.Put(holdstore.Submission{Subject: subject, Login: login, MessageID: "<" + subject + "@corp.test>",
			Sender: holdstore.Path{Address: sender}, Recipients: []holdstore.Path{{Address: "x@far.test"}},
			Client: holdstore.Client{Address: "192.0.2.1"}, Gateway: "gw.corp.test"}, []byte("Subject: "+subject+"\r\n"))
		if put.Write(h.t.Context(), []byte("hello <b>\r\n")) != nil {
			return false
		}
		r, err := put.Commit(h.t.Context(), terms)
		h.ids[subject] = r.ID
		return err == nil
	})
}

func (h *house) state(subject string) holdstore.State {
	h.t.Helper()
	hold, err := h.store.Get(h.t.Context(), h.ids[subject])
	if err != nil {
		h.t.Fatal(err)
	}
	return hold.State
}

// guest makes requests as somebody.
type guest struct {
	h      *house
	client *http.Client
	header map[string]string
}

func (h *house) guest(header ...string) *guest {
	jar, _ := cookiejar.New(nil)
	g := &guest{h, &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}}, map[string]string{}}
	for n := 0; n+1 < len(header); n += 2 {
		g.header[header[n]] = header[n+1]
	}
	return g
}

func (g *guest) ask(method, path, form string) (int, string, http.Header) {
	g.h.t.Helper()
	r, err := http.NewRequest(method, g.h.url+path, strings.NewReader(form))
	if err != nil {
		g.h.t.Fatal(err)
	}
	if form != "" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for name, value := range g.header {
		r.Header.Set(name, value)
	}
	answer, err := g.client.Do(r)
	if err != nil {
		g.h.t.Fatal(err)
	}
	defer answer.Body.Close()
	text, _ := io.ReadAll(answer.Body)
	return answer.StatusCode, string(text), answer.Header
}

func TestAPersonSeesAndRecallsWhatTheirMailCould(t *testing.T) {
	t.Parallel()
	h := open(t, "operators = [\"boss\"]\n[web.sign_in]\nheader = \"Remote-User\"\n")
	for _, c := range []struct {
		login, subject string
		sees           bool
		did            string // of a recall; empty: 404
	}{
		{"anna", "of bert", false, ""}, {"anna", "of the boss", false, ""}, {"anna", "no login", false, ""},
		{"anna@corp.test", "of anna", false, ""}, {"*", "of anna", false, ""}, {"relay@corp.test", "no login", false, ""},
		{"fixed", "fixed", true, "refused"}, {"assistant", "of anna", false, ""},
		{"ANNA", "of anna", true, "recalled"}, {"assistant", "of the boss", true, "recalled"},
		{"boss", "of bert", true, "recalled"}, {"boss", "fixed", true, "recalled"},
	} {
		g, id := h.guest("Remote-User", c.login), h.ids[c.subject]
		path := "/"
		if c.login == "boss" {
			path = "/operator/?state=all"
		}
		_, list, _ := g.ask("GET", path, "")
		if got := strings.Contains(list, id); got != c.sees {
			t.Errorf("%s sees %q in the list: %v", c.login, c.subject, got)
		}
		code, _, _ := g.ask("GET", "/m/"+id, "")
		if (code == 200) != c.sees || code != 200 && code != 404 {
			t.Errorf("%s opens %q: %d", c.login, c.subject, code)
		}
		code, text, header := g.ask("POST", "/m/"+id, "act=recall")
		want := "/m/" + id + "?did=" + c.did + "#outcome"
		if c.did == "" && code != 404 || c.did != "" && header.Get("Location") != want {
			t.Errorf("%s recalls %q: %d %s %s", c.login, c.subject, code, header.Get("Location"), text)
		}
		recalled := h.state(c.subject) == holdstore.Recalled
		if recalled != (c.did == "recalled") {
			t.Errorf("after %s it is %v that %q is recalled", c.login, recalled, c.subject)
		}
	}
}

// Whoever may not recall a message may not act on it in any other way: on the page, by a link, or by the API.
func TestEveryActNeedsTheAuthorityOfARecall(t *testing.T) {
	t.Parallel()
	h := open(t, "[web.sign_in]\nheader = \"Remote-User\"\n")
	id := h.ids["fixed"]
	link, _ := h.marker.HoldLink(id, time.Now().Add(time.Hour))
	unchanged := func(what string) {
		hold, err := h.store.Get(t.Context(), id)
		if err != nil || hold.State != holdstore.Held || len(hold.Timeline) != 1 || hold.Due.Sub(hold.HeldAt) != time.Hour {
			t.Errorf("%s changed it: %v %+v", what, err, hold)
		}
	}
	for path, g := range map[string]*guest{"/m/" + id: h.guest("Remote-User", "fixed"), "/l/" + link: h.guest()} {
		_, page, _ := g.ask("GET", path, "")
		if strings.Contains(page, `name="act"`) || !strings.Contains(page, "taken back by its sender") {
			t.Errorf("%s has buttons, or does not say why not:\n%s", path, page)
		}
		for _, act := range []string{"release", "extend+10m0s", "restore", "recall"} {
			_, text, header := g.ask("POST", path, "act="+act)
			if !strings.Contains(header.Get("Location"), "did=refused") {
				t.Errorf("%s by %s: %s %s", act, path, header.Get("Location"), text)
			}
			unchanged(act + " by " + path)
		}
	}
	g := h.guest("Remote-User", "fixed", "Content-Type", "application/json")
	for act, body := range map[string]string{"release": "{}", "extend": `{"for": "10m"}`, "restore": "{}",
		"recall": "{}"} {
		code, text, _ := g.ask("POST", "/api/v1/holds/"+id+"/"+act, body)
		if code != http.StatusForbidden || !strings.Contains(text, "/forbidden") {
			t.Errorf("%s by the API: %d %s", act, code, text)
		}
		unchanged(act + " by the API")
	}
}

func TestAHeaderFromElsewhereSignsInNobody(t *testing.T) {
	t.Parallel()
	h := open(t, "trusted_proxies = [\"192.0.2.0/24\"]\n[web.sign_in]\nheader = \"Remote-User\"\n")
	g := h.guest("Remote-User", "anna", "X-Forwarded-For", "192.0.2.1")
	if code, _, header := g.ask("GET", "/", ""); code != 303 || header.Get("Location") != "/sign-in" {
		t.Errorf("the list: %d %s", code, header.Get("Location"))
	}
	if code, _, _ := g.ask("POST", "/m/"+h.ids["of anna"], "act=recall"); code != 401 ||
		h.state("of anna") != holdstore.Held {
		t.Errorf("a recall: %d, it is %s", code, h.state("of anna"))
	}
}

// What programs do that look at the links of mails: they open them in all ways, and send their forms.
func TestNothingThatOnlyLooksChangesAnything(t *testing.T) {
	t.Parallel()
	h := open(t, "")
	id := h.ids["of anna"]
	link, _ := h.marker.HoldLink(id, time.Now().Add(time.Hour))
	g := h.guest()
	for _, method := range []string{"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE", "PATCH", "PROPFIND"} {
		for _, path := range []string{"/l/" + link, "/l/" + link + "?act=recall", "/l/" + link + "/recall",
			"/m/" + id + "?act=recall", "/api/v1/holds/" + id + "/recall"} {
			g.ask(method, path, "")
		}
	}
	for _, form := range []string{"", "x=y", "act=", "only=x@far.test", "act=nothing", "act=extend", "act=extend+-1h",
		"act=recall-some", "act=recall-some&only="} {
		g.ask("POST", "/l/"+link, form)
		g.ask("POST", "/l/"+link+"?act=recall", form)
	}
	g.header["Sec-Fetch-Site"] = "cross-site"
	if code, _, _ := g.ask("POST", "/l/"+link, "act=recall"); code != 403 {
		t.Errorf("a form of another site: %d", code)
	}
	delete(g.header, "Sec-Fetch-Site")
	g.header["Origin"] = "https://mallory.test"
	if code, _, _ := g.ask("POST", "/l/"+link, "act=recall"); code != 403 {
		t.Errorf("a form of another origin: %d", code)
	}
	delete(g.header, "Origin")
	hold, err := h.store.Get(t.Context(), id)
	if err != nil || hold.State != holdstore.Held || len(hold.Timeline) != 1 {
		t.Errorf("it was changed: %v %+v", err, hold)
	}
	code, text, header := g.ask("GET", "/l/"+link, "")
	if code != 200 || strings.Contains(text, "<b>") || !strings.Contains(text, "hello &lt;b&gt;") {
		t.Errorf("the page: %d\n%s", code, text)
	}
	for name, want := range map[string]string{"Referrer-Policy": "no-referrer", "X-Frame-Options": "DENY",
		"Cache-Control": "no-store"} {
		if header.Get(name) != want {
			t.Errorf("%s: %q", name, header.Get(name))
		}
	}
	if csp := header.Get("Content-Security-Policy"); strings.Contains(csp, "unsafe") ||
		!strings.Contains(csp, "default-src 'none'") || !strings.Contains(csp, "frame-ancestors 'none'") {
		t.Errorf("CSP: %s", csp)
	}
}

func TestWrongLinksTellNothingAndAreBounded(t *testing.T) {
	t.Parallel()
	h := open(t, "")
	id := h.ids["of anna"]
	over, _ := h.marker.HoldLink(id, time.Now().Add(-time.Second))
	gone, _ := h.marker.HoldLink("32VWE3H4VYYPX", time.Now().Add(time.Hour))
	other, _ := mark.New([]byte("guess")).HoldLink(id, time.Now().Add(time.Hour))
	right, _ := h.marker.HoldLink(id, time.Now().Add(time.Hour))
	g := h.guest()
	var texts []string
	for _, link := range []string{over, gone, other, id, "x", right + "A"} {
		code, text, _ := g.ask("GET", "/l/"+link, "")
		if code != 404 {
			t.Errorf("%s: %d", link, code)
		}
		texts = append(texts, text)
	}
	for n := range texts {
		if texts[n] != texts[0] {
			t.Errorf("the answers differ:\n%s\n%s", texts[n], texts[0])
		}
	}
	for n := range 60 {
		if code, _, header := g.ask("GET", fmt.Sprintf("/l/%d", n), ""); code == 429 && header.Get("Retry-After") != "" {
			break
		} else if n == 59 {
			t.Error("60 wrong links are not too many")
		}
	}
	if code, _, _ := g.ask("GET", "/l/"+right, ""); code != 200 {
		t.Errorf("behind the same address, a right link is not taken: %d", code)
	}
	noted := 0
	for e := range h.store.Log(t.Context(), time.Time{}, false) {
		if e.Verb == "web refused" {
			noted++
		}
	}
	if noted < 1 || noted > 4 {
		t.Errorf("%d lines of the audit trail", noted)
	}
}

func TestAMailedLinkSignsInOnceAndSessionsEndEverywhere(t *testing.T) {
	t.Parallel()
	h := open(t, "")
	proof := `{"i":"one","a":"relay@corp.test","e":"2099-01-01T00:00:00Z"}`
	signed, _ := h.marker.Sign(mark.SignIn, encode(proof))
	first, second := h.guest(), h.guest()
	if code, text, _ := first.ask("GET", "/s/"+signed, ""); code != 200 || !strings.Contains(text, "relay@corp.test") {
		t.Fatalf("the page: %d %s", code, text)
	}
	if code, _, _ := first.ask("POST", "/s/"+signed, "x=y"); code != 400 {
		t.Errorf("a form without a button: %d", code)
	}
	if code, _, _ := first.ask("POST", "/s/"+signed, "act=sign-in"); code != 303 {
		t.Fatalf("sign in: %d", code)
	}
	if code, _, _ := second.ask("POST", "/s/"+signed, "act=sign-in"); code != 404 {
		t.Errorf("the same link once more: %d", code)
	}
	again, _ := h.marker.Sign(mark.SignIn, encode(strings.Replace(proof, "one", "two", 1)))
	second.ask("POST", "/s/"+again, "act=sign-in")
	for _, g := range []*guest{first, second} {
		if _, text, _ := g.ask("GET", "/", ""); !strings.Contains(text, h.ids["no login"]) ||
			strings.Contains(text, h.ids["of anna"]) {
			t.Errorf("the list:\n%s", text)
		}
	}
	first.ask("GET", "/sign-out?act=everywhere", "")
	if code, _, _ := first.ask("GET", "/", ""); code != 200 {
		t.Errorf("GET has signed out: %d", code)
	}
	first.ask("POST", "/sign-out", "act=everywhere")
	for _, g := range []*guest{first, second} {
		if code, _, _ := g.ask("GET", "/", ""); code != 303 {
			t.Errorf("after the sign-out: %d", code)
		}
	}
	forged := h.guest("Cookie", "recall="+url.QueryEscape(signed))
	if code, _, _ := forged.ask("GET", "/", ""); code != 303 {
		t.Errorf("a link to sign in is a session: %d", code)
	}
}

func TestWithTheStoreAwayThePageSaysSo(t *testing.T) {
	t.Parallel()
	h := open(t, "[web.sign_in]\nheader = \"Remote-User\"\n")
	g := h.guest("Remote-User", "anna")
	h.redis.Kill()
	for _, path := range []string{"/", "/m/" + h.ids["of anna"], "/api/v1/holds"} {
		if code, text, header := g.ask("GET", path, ""); code != 503 || header.Get("Retry-After") == "" {
			t.Errorf("%s: %d %s", path, code, text)
		}
	}
	if code, _, _ := g.ask("POST", "/m/"+h.ids["of anna"], "act=recall"); code != 503 {
		t.Errorf("a recall: %d", code)
	}
}

func encode(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

func TestAPreviewShowsTextAndNamesOnly(t *testing.T) {
	t.Parallel()
	h := open(t, "[web.sign_in]\nheader = \"Remote-User\"\n")
	body := "--x\r\nContent-Type: multipart/alternative; boundary=y\r\n\r\n--y\r\n" +
		"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n" +
		"Preise f=C3=BCr <script>\r\n--y\r\n" +
		"Content-Type: text/html\r\n\r\n" +
		"<img src=https://mallory.test/x>\r\n--y--\r\n--x\r\nContent-Type: application/pdf; name=a.pdf\r\n" +
		"Content-Disposition: attachment; filename=\"prices <b>.pdf\"\r\n\r\nJVBERi0=\r\n--x--\r\n"
	put := h.store.Put(holdstore.Submission{Subject: "mime", Login: "anna", MessageID: "<mime@corp.test>",
		Sender: holdstore.Path{Address: "anna@corp.test"}, Recipients: []holdstore.Path{{Address: "x@far.test"}}},
		[]byte("Content-Type: multipart/mixed; boundary=x\r\n"))
	if err := put.Write(t.Context(), []byte(body)); err != nil {
		t.Fatal(err)
	}
	r, err := put.Commit(t.Context(), holdstore.Terms{Rule: "default", Grace: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := h.guest("Remote-User", "anna").ask("GET", "/m/"+r.ID, "")
	for part, want := range map[string]bool{"Preise für &lt;script&gt;": true, "mallory.test": false, "JVBER": false,
		"prices &lt;b&gt;.pdf": true} {
		if strings.Contains(text, part) != want {
			t.Errorf("%s is there: %v\n%s", part, !want, text)
		}
	}
}
