package test

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/zitadel/oidc/v3/example/server/exampleop"
	"github.com/zitadel/oidc/v3/example/server/storage"

	"github.com/recall-milter/recall-milter/test/browser"
	"github.com/recall-milter/recall-milter/test/server"
)

// people are those whom a provider knows, by their login.
type people map[string]*storage.User

func (p people) GetUserByID(id string) *storage.User         { return p[id] }
func (p people) GetUserByUsername(name string) *storage.User { return p[name] }
func (p people) ExampleClientID() string                     { return "unused" }

// startProvider starts an OpenID Connect provider, which knows the page by a secret.
func startProvider(t *testing.T, page string, who people) (issuer string) {
	t.Helper()
	slog.SetLogLoggerLevel(slog.LevelError)
	storage.RegisterClients(storage.WebClient("recall-page", "s3cret", page+"/sign-in/oidc/callback"))
	var provider http.Handler
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		provider.ServeHTTP(w, r)
	}))
	issuer = "http://" + strings.Replace(s.Listener.Addr().String(), "127.0.0.1", "localhost", 1) + "/"
	provider = exampleop.SetupServer(issuer, storage.NewStorage(who), nil, false)
	s.Start()
	t.Cleanup(s.Close)
	return issuer
}

func TestASenderSignsInAtTheirProviderInABrowser(t *testing.T) {
	g := startOffice(t, "1h")
	address := server.FreeAddr(t)
	issuer := startProvider(t, "http://"+address, people{
		"anna": {ID: "anna", Username: "anna", Password: "verysecure", Email: "bert@corp.test"}, // not verified
	})
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("s3cret"), 0o600); err != nil {
		t.Fatal(err)
	}
	w := g.withPageAt(address, "[web.sign_in]", fmt.Sprintf(
		"oidc = { issuer = %q, client_id = \"recall-page\", client_secret_file = %q }", issuer, secret))
	g.message("anna", "provider@corp.test")
	g.message("bert", "of-bert@corp.test")
	b := browser.Open(t)
	b.Do("open the page", chromedp.Navigate(w.base), chromedp.Click(`a[href="/sign-in/oidc"]`))
	b.Do("sign in at the provider", chromedp.SendKeys("#username", "anna"), chromedp.SendKeys("#password", "verysecure"),
		chromedp.Click("button"))
	b.Sees("Signed in as anna")
	if text := browser.JS[string](b, `document.body.innerHTML`); strings.Contains(text, g.id("of-bert@corp.test")) {
		t.Error("an address that is not verified shows another person's mail")
	}
	b.Look("oidc-list", "320")
	b.Click("recall")
	b.Sees("Taken back. Nobody will get it.")
	if got := g.state("provider@corp.test"); got != "recalled" {
		t.Errorf("after the click it is %q", got)
	}
	b.Click("everywhere")
	b.Sees("You are signed out.")
	b.Look("signed-out", "320")
	b.Do("the back button", chromedp.Navigate(w.base+"/m/"+g.id("provider@corp.test")))
	b.Sees("Enter the address") // the page to sign in
	b.Do("the page after a sign-out", chromedp.Navigate(w.base+"/sign-in?did=signed-out"))
	there := browser.JS[string](b, `document.querySelector('a[href*="end_session"]').href`)
	if !strings.HasPrefix(there, issuer) || !strings.Contains(there, "client_id=recall-page") {
		t.Errorf("the link to sign out at the provider: %s", there)
	}
}
