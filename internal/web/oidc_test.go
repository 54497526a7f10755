package web_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/coreos/go-oidc/v3/oidc/oidctest"

	"github.com/recall-milter/recall-milter/internal/mark"
	"github.com/recall-milter/recall-milter/test/server"
)

// provider is an identity provider that says what a test wants.
type provider struct {
	t         *testing.T
	key       *rsa.PrivateKey
	url       string
	challenge string         // of PKCE, of the attempt under way
	claims    map[string]any // of the next token
	signer    *rsa.PrivateKey
	exchanges int
	away      bool // exchanges nothing
}

func startProvider(t *testing.T) *provider {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	p := &provider{t: t, key: key, signer: key}
	known := &oidctest.Server{
		PublicKeys: []oidctest.PublicKey{{PublicKey: key.Public(), KeyID: "k", Algorithm: oidc.RS256}}}
	mux := http.NewServeMux()
	mux.Handle("/", known)
	mux.HandleFunc("POST /token", p.token)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	p.url = server.URL
	known.SetIssuer(p.url)
	return p
}

func (p *provider) sign(claims map[string]any) string {
	text, _ := json.Marshal(claims)
	return oidctest.SignIDToken(p.signer, "k", oidc.RS256, string(text))
}

func (p *provider) token(w http.ResponseWriter, r *http.Request) {
	p.exchanges++
	sum := sha256.Sum256([]byte(r.FormValue("code_verifier")))
	id, secret, _ := r.BasicAuth()
	if base64.RawURLEncoding.EncodeToString(sum[:]) != p.challenge || id != "page" || secret != "s3cret" {
		p.t.Errorf("the code is exchanged by %q with %q, and a verifier that does not fit", id, secret)
	}
	w.Header().Set("Content-Type", "application/json")
	if p.away {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	if r.FormValue("code") != "good" {
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprint(w, `{"error": "invalid_grant"}`)
		return
	}
	fmt.Fprintf(w, `{"access_token": "a", "token_type": "Bearer", "id_token": %q}`, p.sign(p.claims))
}

// settings are those of a page whose people sign in at a provider.
func (p *provider) settings(more string) string {
	p.t.Helper()
	secret := filepath.Join(p.t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("s3cret\n"), 0o600); err != nil {
		p.t.Fatal(err)
	}
	return fmt.Sprintf("[web.sign_in]\noidc = { issuer = %q, client_id = \"page\", client_secret_file = %q%s }\n",
		p.url, secret, more)
}

// openWith opens a page whose people sign in at a provider.
func (p *provider) openWith(more string) *house {
	p.t.Helper()
	return open(p.t, p.settings(more))
}

// begin begins a sign-in, and returns what the browser comes back with.
func (p *provider) begin(g *guest) url.Values {
	p.t.Helper()
	code, text, header := g.ask("GET", "/sign-in/oidc", "")
	to, err := url.Parse(header.Get("Location"))
	if code != http.StatusSeeOther || err != nil || !strings.HasPrefix(to.String(), p.url+"/auth?") {
		p.t.Fatalf("begin: %d %v\n%s", code, header, text)
	}
	q := to.Query()
	if q.Get("code_challenge_method") != "S256" || q.Get("response_type") != "code" || q.Get("state") == q.Get("nonce") {
		p.t.Errorf("the request: %v", q)
	}
	p.challenge = q.Get("code_challenge")
	p.claims = map[string]any{"iss": p.url, "aud": "page", "sub": "7", "exp": time.Now().Add(time.Minute).Unix(),
		"iat": time.Now().Unix(), "nonce": q.Get("nonce"), "preferred_username": "anna", "sid": "there"}
	return url.Values{"code": {"good"}, "state": {q.Get("state")}}
}

// back comes back from the provider, and returns the status: 303 when the browser is signed in.
func (g *guest) back(q url.Values) int {
	g.h.t.Helper()
	code, text, _ := g.ask("GET", "/sign-in/oidc/callback?"+q.Encode(), "")
	if strings.Contains(text, "invalid_grant") || strings.Contains(text, "azp") {
		g.h.t.Errorf("the page tells what went wrong:\n%s", text)
	}
	return code
}

// sees lists the subjects that a browser sees.
func (g *guest) sees(h *house) (all []string) {
	g.h.t.Helper()
	_, list, _ := g.ask("GET", "/", "")
	_, everybodys, _ := g.ask("GET", "/operator/?state=all", "")
	list += everybodys
	for _, subject := range []string{"of anna", "of bert", "of the boss", "fixed", "no login"} {
		if strings.Contains(list, h.ids[subject]) {
			all = append(all, subject)
		}
	}
	return all
}

func TestAnIdentityProviderSaysWhoHasSignedIn(t *testing.T) {
	t.Parallel()
	p := startProvider(t)
	h := p.openWith(`, operator_claim = "groups=desk"`)
	address := func(email string, verified any) map[string]any {
		return map[string]any{"email": email, "email_verified": verified}
	}
	for name, c := range map[string]struct {
		claims map[string]any // over those of anna
		code   int
		sees   string
	}{
		"the login":            {nil, 303, "of anna"},
		"a verified address":   {address("relay@corp.test", true), 303, "of anna, no login"},
		"verified, as a text":  {address("relay@corp.test", "true"), 303, "of anna, no login"},
		"an unverified one":    {address("relay@corp.test", false), 303, "of anna"},
		"nothing of verified":  {map[string]any{"email": "relay@corp.test"}, 303, "of anna"},
		"only unverified":      {map[string]any{"email": "relay@corp.test", "preferred_username": ""}, 403, ""},
		"an odd address":       {address("<relay@corp.test>", true), 303, "of anna"},
		"an operator":          {map[string]any{"groups": []string{"x", "desk"}}, 303, "all"},
		"another group":        {map[string]any{"groups": []string{"desks"}}, 303, "of anna"},
		"nobody":               {map[string]any{"preferred_username": 7}, 403, ""},
		"a login with a break": {map[string]any{"preferred_username": "anna\nx"}, 403, ""},
		"a long login":         {map[string]any{"preferred_username": strings.Repeat("a", 5000)}, 403, ""},
		"another nonce":        {map[string]any{"nonce": "x"}, 403, ""},
		"no nonce":             {map[string]any{"nonce": nil}, 403, ""},
		"another issuer":       {map[string]any{"iss": "https://mallory.test"}, 403, ""},
		"another audience":     {map[string]any{"aud": "other"}, 403, ""},
		"for another party":    {map[string]any{"aud": []string{"page", "other"}, "azp": "other"}, 403, ""},
		"for two parties":      {map[string]any{"aud": []string{"page", "other"}}, 403, ""},
		"for us of two":        {map[string]any{"aud": []string{"page", "other"}, "azp": "page"}, 303, "of anna"},
		"expired":              {map[string]any{"exp": time.Now().Add(-time.Minute).Unix()}, 403, ""},
		"without an end":       {map[string]any{"exp": nil}, 403, ""},
	} {
		c.sees = strings.ReplaceAll(c.sees, "all", "of anna, of bert, of the boss, fixed, no login")
		g := h.guest()
		q := p.begin(g)
		maps.Copy(p.claims, c.claims)
		if code := g.back(q); code != c.code {
			t.Errorf("%s: %d, want %d", name, code, c.code)
		}
		if got := strings.Join(g.sees(h), ", "); got != c.sees {
			t.Errorf("%s sees %q, want %q", name, got, c.sees)
		}
	}
	p.signer, _ = rsa.GenerateKey(rand.Reader, 2048)
	g := h.guest()
	if code := g.back(p.begin(g)); code != 403 {
		t.Errorf("signed with another key: %d", code)
	}
}

func TestASignInAtAProviderCountsOnceAndForItsBrowser(t *testing.T) {
	t.Parallel()
	p := startProvider(t)
	h := p.openWith("")
	first, other := h.guest(), h.guest()
	q := p.begin(first)
	if code := other.back(q); code != 403 {
		t.Errorf("in a browser that has not begun it: %d", code)
	}
	p.begin(other)
	if code := other.back(q); code != 403 {
		t.Errorf("in a browser that has begun another: %d", code)
	}
	q = p.begin(first)
	foreign := maps.Clone(q)
	foreign.Set("iss", "https://mallory.test")
	if code := first.back(foreign); code != 403 || p.exchanges != 0 {
		t.Errorf("of another issuer: %d, after %d exchanges", code, p.exchanges)
	}
	address, _ := url.Parse(h.url)
	kept := first.client.Jar.Cookies(address)
	if code := first.back(q); code != 303 {
		t.Errorf("as it should be: %d", code)
	}
	again := h.guest()
	again.client.Jar.SetCookies(address, kept)
	if code := again.back(q); code != 403 || p.exchanges != 1 {
		t.Errorf("with a copy of its cookie, once more: %d, after %d exchanges", code, p.exchanges)
	}
	if got := again.sees(h); got != nil {
		t.Errorf("it sees %q", got)
	}
	third := h.guest()
	q = p.begin(third)
	q.Del("code")
	q.Set("error", "access_denied")
	q.Set("error_description", "<b>")
	if code := third.back(q); code != 403 {
		t.Errorf("refused at the provider: %d", code)
	}
	bad := p.begin(third)
	bad.Set("code", "bad")
	if code := third.back(bad); code != 403 {
		t.Errorf("a code that the provider does not know: %d", code)
	}
}

func TestWhoSignsOutAtTheProviderIsSignedOutHere(t *testing.T) {
	t.Parallel()
	p := startProvider(t)
	h := p.openWith("")
	signIn := func() *guest {
		g := h.guest()
		if code := g.back(p.begin(g)); code != 303 {
			t.Fatalf("sign in: %d", code)
		}
		return g
	}
	id := 0
	token := func(change map[string]any) string {
		id++
		c := map[string]any{"iss": p.url, "aud": "page", "jti": fmt.Sprint(id), "sub": "7", "iat": time.Now().Unix(),
			"exp": time.Now().Add(time.Minute).Unix(), "events": map[string]any{
				"http://schemas.openid.net/event/backchannel-logout": map[string]any{}}}
		maps.Copy(c, change)
		return "logout_token=" + p.sign(c)
	}
	out := func(form string) int {
		code, _, _ := h.guest().ask("POST", "/sign-out/oidc", form)
		return code
	}
	g := signIn()
	for name, form := range map[string]string{"none": "", "an ID token": "logout_token=" + p.sign(p.claims),
		"of another": token(map[string]any{"iss": "https://mallory.test"}), "old": token(map[string]any{"exp": 1}),
		"for another": token(map[string]any{"aud": "other"}), "with a nonce": token(map[string]any{"nonce": "x"})} {
		if code := out(form); code != 400 {
			t.Errorf("%s: %d", name, code)
		}
	}
	if code := out(token(map[string]any{"sub": "8"})); code != 200 || g.sees(h) == nil {
		t.Errorf("somebody else: %d, anna sees %q", code, g.sees(h))
	}
	if code := out(token(map[string]any{"sid": "elsewhere"})); code != 200 || g.sees(h) == nil {
		t.Errorf("another session: %d, anna sees %q", code, g.sees(h))
	}
	if code := out(token(map[string]any{"sid": "there"})); code != 200 || g.sees(h) != nil {
		t.Errorf("this session: %d, anna sees %q", code, g.sees(h))
	}
	p.challenge = ""
	g = h.guest()
	q := p.begin(g)
	p.claims["sid"] = "another"
	if code := g.back(q); code != 303 {
		t.Fatalf("once more: %d", code)
	}
	all := token(nil)
	if code := out(all); code != 200 || g.sees(h) != nil {
		t.Errorf("all sessions: %d, anna sees %q", code, g.sees(h))
	}
	g = h.guest()
	q = p.begin(g)
	p.claims["iat"] = time.Now().Unix() + 2 // after the token
	if code := g.back(q); code != 303 {
		t.Fatalf("after the sign-out: %d", code)
	}
	if code := out(all); code != 200 || g.sees(h) == nil {
		t.Errorf("the same token once more: %d, anna sees %q", code, g.sees(h))
	}
}

// A provider whose clock is wrong, and who has to try twice, ends what began before, and nothing else.
func TestALogoutCountsByTheClockOfTheProviderAndCanBeTriedAgain(t *testing.T) {
	t.Parallel()
	p := startProvider(t)
	h := p.openWith("")
	slow := time.Now().Add(-10 * time.Minute).Unix()
	g := h.guest()
	q := p.begin(g)
	p.claims["iat"] = slow
	if code := g.back(q); code != 303 {
		t.Fatalf("sign in: %d", code)
	}
	token := func(at int64) string {
		return "logout_token=" + p.sign(map[string]any{"iss": p.url, "aud": "page", "jti": "1", "sub": "7", "iat": at,
			"exp": time.Now().Add(time.Minute).Unix(), "events": map[string]any{
				"http://schemas.openid.net/event/backchannel-logout": map[string]any{}}})
	}
	if code, _, _ := h.guest().ask("POST", "/sign-out/oidc", token(slow-1)); code != 200 || g.sees(h) == nil {
		t.Errorf("a sign-out of before: %d, anna sees %q", code, g.sees(h))
	}
	h.redis.Kill()
	if code, _, _ := h.guest().ask("POST", "/sign-out/oidc", token(slow+1)); code != 503 {
		t.Errorf("with the store away: %d", code)
	}
	h.redis.Start()
	server.Eventually(t, "the second try is taken", func() bool {
		code, _, _ := h.guest().ask("POST", "/sign-out/oidc", token(slow+1))
		return code == 200
	})
	if got := g.sees(h); got != nil {
		t.Errorf("anna sees %q", got)
	}
	h.guest().ask("POST", "/sign-out/oidc", token(slow-1))
	if got := g.sees(h); got != nil {
		t.Errorf("after an older token, anna sees %q", got)
	}
}

// What was proven at a sign-in lasts; what that allows is for the config of today to say.
func TestASessionHasTheRightsOfTheConfigOfToday(t *testing.T) {
	t.Parallel()
	p := startProvider(t)
	h := p.openWith(`, operator_claim = "groups=desk"`)
	g := h.guest()
	q := p.begin(g)
	p.claims["groups"] = "desk"
	if code := g.back(q); code != 303 || len(g.sees(h)) != 5 {
		t.Fatalf("sign in: %d, they see %q", code, g.sees(h))
	}
	for settings, want := range map[string]string{
		p.settings(`, operator_claim = "groups=desk"`): "all",
		p.settings(``): "of anna",
		p.settings(`, operator_claim = "groups=night"`):                                     "of anna",
		p.settings(`, operator_claim = "groups=desk", login_claim = "upn"`):                 "",
		strings.Replace(p.settings(`, operator_claim = "groups=desk"`), "page", "other", 1): "",
		"operators = [\"anna\"]\n" + p.settings(``):                                         "all",
		"session = \"1s\"\n" + p.settings(``):                                               "",
		"[web.sign_in]\nlink = true\n":                                                      "",
	} {
		want = strings.ReplaceAll(want, "all", "of anna, of bert, of the boss, fixed, no login")
		now := h.reopened(settings)
		if strings.HasPrefix(settings, "session") {
			server.Eventually(t, "a second is over", func() bool { return g.at(now).sees(h) == nil })
		}
		if got := strings.Join(g.at(now).sees(h), ", "); got != want {
			t.Errorf("with %s they see %q, want %q", settings, got, want)
		}
	}
}

// One person's sessions end together: of their login, of their addresses, and of the addresses that they send from.
func TestASignOutEverywhereEndsAllSessionsOfAPerson(t *testing.T) {
	t.Parallel()
	p := startProvider(t)
	h := p.openWith("")
	h.hold("as relay", "anna", "anna.b@corp.test", "default")
	n := 0
	byMail := func(address string) *guest {
		n++
		signed, _ := h.marker.Sign(mark.SignIn,
			encode(fmt.Sprintf(`{"i":"%d","a":%q,"e":"2099-01-01T00:00:00Z"}`, n, address)))
		g := h.guest()
		if code, _, _ := g.ask("POST", "/s/"+signed, "act=sign-in"); code != 303 {
			t.Fatalf("by mail: %d", code)
		}
		return g
	}
	byLogin := func(claims map[string]any) *guest {
		g := h.guest()
		q := p.begin(g)
		maps.Copy(p.claims, claims)
		if code := g.back(q); code != 303 {
			t.Fatalf("by login: %d", code)
		}
		return g
	}
	verified := map[string]any{"email": "anna.c@corp.test", "email_verified": true}
	bert := byMail("bert@corp.test")
	for name, c := range map[string]struct{ ends, too func() *guest }{
		"the login ends its address": {
			func() *guest { return byLogin(verified) }, func() *guest { return byMail("Anna.C@corp.test") }},
		"an address ends its login": {
			func() *guest { return byMail("anna.c@corp.test") }, func() *guest { return byLogin(verified) }},
		"the login ends where it sends from": {
			func() *guest { return byLogin(nil) }, func() *guest { return byMail("anna.b@corp.test") }},
		"an address ends the login that has it": {
			func() *guest { return byMail("anna.b@corp.test") }, func() *guest { return byLogin(nil) }},
		"a login that is an address ends that": {
			func() *guest { return byLogin(map[string]any{"preferred_username": "dora@corp.test"}) },
			func() *guest { return byMail("dora@corp.test") }},
	} {
		ends, too := c.ends(), c.too()
		if code, _, _ := too.ask("GET", "/", ""); code != 200 {
			t.Fatalf("%s: before: %d", name, code)
		}
		ends.ask("POST", "/sign-out", "act=everywhere")
		if code, _, _ := too.ask("GET", "/", ""); code != 303 {
			t.Errorf("%s: the other session: %d", name, code)
		}
	}
	if code, _, _ := bert.ask("GET", "/", ""); code != 200 {
		t.Errorf("somebody else is signed out as well: %d", code)
	}
}

// While the provider is away, its metadata that were read before still begin a sign-in. The log says once that nobody
// ends one, and once that somebody does.
func TestTheLogSaysWhenSignInsFailAndWorkAgain(t *testing.T) {
	t.Parallel()
	p := startProvider(t)
	h := p.openWith("")
	h.log = &server.Output{}
	h = h.reopened(p.settings(""))
	for _, away := range []bool{true, true, false, false} {
		g := h.guest()
		back := p.begin(g)
		p.away = away
		if code, want := g.back(back), map[bool]int{true: 503, false: 303}[away]; code != want {
			t.Errorf("the provider is away: %v: %d", away, code)
		}
	}
	if gone, back := h.log.Count("nobody can sign in at the identity provider while it is away"),
		h.log.Count("the identity provider answers again, after "); gone != 1 || back != 1 {
		t.Errorf("%d and %d lines:\n%s", gone, back, h.log)
	}
}

func TestWithTheProviderAwayThePageSaysSo(t *testing.T) {
	t.Parallel()
	away := httptest.NewServer(http.NotFoundHandler())
	away.Close()
	h := (&provider{t: t, url: away.URL}).openWith("")
	code, text, header := h.guest().ask("GET", "/sign-in/oidc", "")
	if code != 503 || header.Get("Retry-After") == "" || !strings.Contains(text, "sign-in service") {
		t.Errorf("%d %s", code, text)
	}
	if code, text, _ := h.guest().ask("GET", "/sign-in", ""); code != 200 || !strings.Contains(text, "/sign-in/oidc") {
		t.Errorf("the page to sign in: %d %s", code, text)
	}
}
