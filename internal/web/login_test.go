package web_test

import (
	"fmt"
	"io"
	"mime/quotedprintable"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/config"
	"github.com/recall-milter/recall-milter/internal/maillog"
	"github.com/recall-milter/recall-milter/internal/wiring"
	"github.com/recall-milter/recall-milter/test/server"
)

// asUser serves the same page with the Redis login that the manual recommends for it, and says after the test what the
// login lacked.
func (h *house) asUser(web string) {
	t := h.t
	t.Helper()
	manual, err := os.ReadFile("../../docs/redis.md")
	line := regexp.MustCompile(`(?m)^    user (recall-web on .*)$`).FindSubmatch(manual)
	if err != nil || line == nil {
		t.Fatalf("docs/redis.md has no login for recall-web: %v", err)
	}
	h.redis.Do("ACL SETUSER " + strings.ReplaceAll(string(line[1]), "PASSWORD", "secret"))
	t.Cleanup(func() {
		for _, entry := range strings.Split(h.redis.Do("ACL LOG 50"), "\r\ncount\r\n")[1:] {
			t.Errorf("the login lacks: %q", entry[:min(len(entry), 300)])
		}
	})
	folder, address := t.TempDir(), server.FreeAddr(t)
	password := filepath.Join(folder, "password")
	file := filepath.Join(folder, "recall-milter.toml")
	h.url = "http://" + address
	text := fmt.Sprintf("[redis]\naddresses = [%q]\nusername = \"recall-web\"\npassword_file = %q\n%s\n[web]\n"+
		"listen = [\"127.0.0.1:1\"]\nbase_url = %q\n%s", h.redis.Addr, password, rules, h.url, web)
	for name, content := range map[string]string{password: "secret", file: text} {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c, err := config.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	store, err := wiring.Store(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	page, err := wiring.Web(c, file, store, h.marker, maillog.Silent())
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() { done <- page.Serve(t.Context(), l, nil) }()
	t.Cleanup(func() { <-done })
}

// Everything that the page and the API do works with the login that the manual recommends for it.
func TestThePageNeedsNoMoreThanItsLogin(t *testing.T) {
	t.Parallel()
	const settings = "operators = [\"boss\"]\n[web.sign_in]\nheader = \"Remote-User\"\n" + mailboxTable
	h := open(t, settings)
	h.cameIn("<bait@evil.test>", "your account", "1", "anna@corp.test", "bert@corp.test")
	admin, anna := h.token("admin", "admin"), h.token("anna", "act", "anna")
	h.hold("gone", "anna", "anna@corp.test", "default")
	h.leave(h.ids["gone"])
	h.asUser(settings)
	g, boss := h.guest("Remote-User", "anna"), h.guest("Remote-User", "boss")
	id := h.ids["of anna"]
	for _, form := range []string{"act=nothing", "act=extend+10m", "act=recall", "act=restore",
		"act=recall-some&only=x@far.test", "act=restore", "act=release"} {
		if code, text, _ := g.ask("POST", "/m/"+id, form); code != 303 {
			t.Errorf("%s: %d %s", form, code, text)
		}
	}
	_, _, header := g.ask("POST", "/m/"+h.ids["gone"], "act=ask")
	if !strings.Contains(header.Get("Location"), "did=asked") {
		t.Errorf("the gateways are not asked: %v", header)
	}
	for _, path := range []string{"/", "/m/" + id, "/?sender=anna@corp.test&state=all"} {
		for _, who := range []*guest{g, boss} {
			if code, text, _ := who.ask("GET", path, ""); code != 200 && who == boss {
				t.Errorf("%s: %d %s", path, code, text)
			}
		}
	}
	p := h.program()
	for _, o := range append(h.operations(h.ids["of bert"]), clawOperations("")[:3]...) {
		c := call{method: o.method, path: o.path, body: o.body, token: admin}
		if o.path == "/me" {
			c.login = "bert"
		}
		if code, text := p.do(c); code != 200 {
			t.Errorf("%s %s: %d %s", o.method, o.path, code, text)
		}
	}
	p.do(call{method: "GET", path: "/holds?queue_id=x&state=all", token: anna, login: "anna"})
	p.do(call{method: "GET", path: "/me", token: "rmt_wrong"})
	link, _ := h.marker.HoldLink(id, time.Now().Add(time.Hour))
	h.guest().ask("GET", "/l/"+link, "")
	h.guest().ask("GET", "/l/x", "")
	if lacks := h.redis.Do("ACL LOG 50"); strings.Contains(lacks, "count") {
		t.Fatal("so no link is mailed") // what it lacks is said at the end
	}
	h.signInByMail("relay@corp.test")
}

// signInByMail asks for a link, finds it in the mail that the gateway has to send, uses it, and signs out everywhere.
func (h *house) signInByMail(address string) {
	h.t.Helper()
	g := h.guest()
	if code, _, _ := g.ask("POST", "/sign-in", "act=mail&address="+address); code != http.StatusSeeOther {
		h.t.Fatalf("a link: %d", code)
	}
	var link string
	server.Eventually(h.t, "a mail with a link is there", func() bool {
		link = h.mailed(regexp.MustCompile(`/s/\S+`))
		return link != ""
	})
	if code, text, _ := g.ask("POST", link, "act=sign-in"); code != http.StatusSeeOther {
		h.t.Fatalf("sign in: %d %s", code, text)
	}
	if code, _, _ := g.ask("GET", "/", ""); code != 200 {
		h.t.Errorf("the list: %d", code)
	}
	if code, _, _ := g.ask("POST", "/sign-out", "act=everywhere"); code != http.StatusSeeOther {
		h.t.Errorf("sign out: %d", code)
	}
}

// mailed finds what a pattern matches in the gateway's own mail that waits to be sent.
func (h *house) mailed(pattern *regexp.Regexp) string {
	h.t.Helper()
	for mail, err := range h.store.Find(h.t.Context(), holdstore.Query{}) {
		if err != nil || !mail.Own() {
			continue
		}
		text, err := io.ReadAll(h.store.Content(h.t.Context(), mail))
		if err != nil {
			h.t.Fatal(err)
		}
		plain, _ := io.ReadAll(quotedprintable.NewReader(strings.NewReader(string(text))))
		if found := pattern.Find(plain); found != nil {
			return string(found)
		}
	}
	return ""
}
