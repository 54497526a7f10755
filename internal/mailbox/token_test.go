package mailbox

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/recall-milter/recall-milter/test/server"
)

// issuer is a token server: it gives tokens to a client with a secret and to a service account, and tells Dovecot whose
// they are (RFC 7662).
type issuer struct {
	*httptest.Server
	mu      sync.Mutex
	tokens  map[string]string // the user of each that is good
	given   int
	expires int    // seconds
	secret  string // file
	account string // file
	key     *rsa.PrivateKey
}

const scope = "https://mail.example/.default"

func startIssuer(t *testing.T) *issuer {
	t.Helper()
	i := &issuer{tokens: map[string]string{}, expires: 3600}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /token", i.token)
	mux.HandleFunc("POST /introspect", func(w http.ResponseWriter, r *http.Request) {
		i.mu.Lock()
		defer i.mu.Unlock()
		user, good := i.tokens[r.FormValue("token")]
		_ = json.NewEncoder(w).Encode(map[string]any{"active": good, "username": user})
	})
	i.Server = httptest.NewServer(mux)
	t.Cleanup(i.Close)
	var err error
	if i.key, err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(i.key)
	if err != nil {
		t.Fatal(err)
	}
	account, err := json.Marshal(map[string]string{"type": "service_account", "client_email": "recall@project.example",
		"private_key_id": "k1", "token_uri": i.URL + "/token",
		"private_key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))})
	if err != nil {
		t.Fatal(err)
	}
	i.secret, i.account = secretFile(t, "client-secret\n"), secretFile(t, string(account))
	return i
}

func secretFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func (i *issuer) token(w http.ResponseWriter, r *http.Request) {
	user := bert
	if r.FormValue("grant_type") == "urn:ietf:params:oauth:grant-type:jwt-bearer" {
		user = i.subject(r.FormValue("assertion"))
	} else if id, secret, _ := r.BasicAuth(); id != "gateway" || secret != "client-secret" ||
		r.FormValue("scope") != scope {
		user = ""
	}
	if user == "" {
		w.WriteHeader(http.StatusUnauthorized)
		fmt.Fprint(w, `{"error":"invalid_client","error_description":"who are you?"}`)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"access_token": i.give(user), "token_type": "Bearer",
		"expires_in": i.expires})
}

// subject is for whom a signed assertion asks (RFC 7523 section 3); empty: it is not the account's.
func (i *issuer) subject(assertion string) string {
	part := strings.Split(assertion, ".")
	if len(part) != 3 {
		return ""
	}
	signature, _ := base64.RawURLEncoding.DecodeString(part[2])
	sum := sha256.Sum256([]byte(part[0] + "." + part[1]))
	if rsa.VerifyPKCS1v15(&i.key.PublicKey, crypto.SHA256, sum[:], signature) != nil {
		return ""
	}
	var claims struct{ Iss, Sub, Scope, Aud string }
	text, _ := base64.RawURLEncoding.DecodeString(part[1])
	if json.Unmarshal(text, &claims) != nil || claims.Iss != "recall@project.example" || claims.Scope != scope ||
		claims.Aud != i.URL+"/token" {
		return ""
	}
	return claims.Sub
}

func (i *issuer) give(user string) string {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.given++
	token := fmt.Sprintf("token-%d-of-%s", i.given, strings.ReplaceAll(user, "@", "."))
	i.tokens[token] = user
	return token
}

// withdraw makes all tokens bad.
func (i *issuer) withdraw() {
	i.mu.Lock()
	defer i.mu.Unlock()
	clear(i.tokens)
}

// sources are the three ways to a token, by name.
func (i *issuer) sources(t *testing.T) map[string]Token {
	return map[string]Token{
		"client":  {URL: i.URL + "/token", ClientID: "gateway", ClientSecretFile: i.secret, Scope: scope},
		"account": {ServiceAccountFile: i.account, Scope: scope},
		"file":    {File: secretFile(t, i.give(bert)+"\n")},
	}
}

// dovecot is the configuration that makes a real Dovecot believe the issuer's tokens.
func (i *issuer) dovecot(t *testing.T) string {
	t.Helper()
	const mechanisms = "auth_mechanisms = plain login xoauth2 oauthbearer\n"
	if server.Dovecot24(t) {
		return mechanisms + "passdb oauth2 {\n  mechanisms_filter = xoauth2 oauthbearer\n}\noauth2 {\n" +
			"  introspection_mode = post\n  introspection_url = " + i.URL + "/introspect\n" +
			"  username_attribute = username\n  active_attribute = active\n  active_value = true\n}\n"
	}
	path := filepath.Join(t.TempDir(), "oauth2")
	if err := os.WriteFile(path, []byte("introspection_mode = post\nintrospection_url = "+i.URL+"/introspect\n"+
		"username_attribute = username\nactive_attribute = active\nactive_value = true\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	return mechanisms + "passdb {\n  driver = oauth2\n  mechanisms = xoauth2 oauthbearer\n  args = " + path + "\n}\n"
}

func TestAccessTokensOpenMailboxes(t *testing.T) {
	i := startIssuer(t)
	s := start(t, "delete", "keep", i.dovecot(t))
	for _, auth := range []string{AuthXOAUTH2, AuthOAuthBearer} {
		for name, source := range i.sources(t) {
			its := s.settings()
			its.Auth, its.Token, its.MasterUser, its.PasswordFile = auth, source, "", ""
			if err := its.Defect(); err != nil {
				t.Errorf("%s, %s: defect %v", auth, name, err)
			}
			s.with(its)
			before := i.given
			for range 2 { // the second time with the token that is kept
				s.deliver(message(id))
				s.takes(target(id), Retracted)
			}
			if fetched := i.given - before; fetched > 1 {
				t.Errorf("%s, %s: %d tokens for two logins", auth, name, fetched)
			}
		}
	}
}

func TestATokenThatIsWithdrawnIsReplaced(t *testing.T) {
	i := startIssuer(t)
	s := start(t, "delete", "keep", i.dovecot(t))
	its := s.settings()
	its.Auth, its.Token = AuthXOAUTH2, i.sources(t)["client"]
	s.with(its)
	s.deliver(message(id))
	s.takes(target(id), Retracted)
	i.withdraw()
	s.deliver(message(id))
	s.takes(target(id), Retracted)
}

func TestATokenForAnotherMailboxOpensNone(t *testing.T) {
	i := startIssuer(t)
	s := start(t, "delete", "keep", i.dovecot(t))
	its := s.settings()
	its.Auth, its.Token = AuthXOAUTH2, Token{File: secretFile(t, i.give(anna)+"\n")}
	s.with(its)
	s.deliver(message(id))
	if r, err := s.Retract(t.Context(), target(id), nil); !errors.Is(err, ErrLogin) {
		t.Errorf("got %+v, %v", r, err)
	}
	s.has("INBOX", id)
}

// Whatever a token server says, there is an error without our secret in it; only a refusal needs the administrator.
func TestATokenServerThatIsStrange(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		status  int
		text    string
		refused bool
	}{
		"refuses":      {401, `{"error":"invalid_client","error_description":"no\u001b[31m"}`, true},
		"in HTML":      {403, "<html>client-secret</html>", true},
		"is too busy":  {429, `{"error":"slow_down"}`, false},
		"is broken":    {503, "client-secret", false},
		"redirects":    {307, "", false},
		"empty":        {200, "", false},
		"no token":     {200, `{"token_type":"Bearer"}`, false},
		"injects":      {200, `{"access_token":"a\u0001\r\nb","token_type":"Bearer"}`, false},
		"endless":      {200, `{"access_token":"` + strings.Repeat("a", 100_000) + `","token_type":"Bearer"}`, false},
		"half an hour": {200, `{"access_token":`, false},
	} {
		elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
			t.Errorf("%s: another server is asked", name)
		}))
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", elsewhere.URL)
			w.WriteHeader(c.status)
			fmt.Fprint(w, c.text)
		}))
		k := &tokens{from: Token{URL: srv.URL, ClientID: "gateway", ClientSecretFile: secretFile(t, "client-secret")}}
		token, _, err := k.get(context.Background(), bert)
		if err == nil || token != "" || errors.Is(err, ErrLogin) != c.refused ||
			strings.Contains(err.Error(), "client-secret") || strings.ContainsAny(err.Error(), "\x1b\r\n") {
			t.Errorf("%s: token %q, %v", name, token, err)
		}
		srv.Close()
		elsewhere.Close()
	}
}

func TestWhatIsWrongWithALoginIsSaidBefore(t *testing.T) {
	t.Parallel()
	good := secretFile(t, "secret")
	for name, s := range map[string]Server{
		"no user":        {Auth: AuthPlain, Login: "{master}", PasswordFile: good},
		"unknown":        {Auth: AuthPlain, Login: "{user}", PasswordFile: good},
		"no password":    {Auth: AuthLogin, PasswordFile: secretFile(t, "\n")},
		"http":           {Auth: AuthXOAUTH2, Token: Token{URL: "http://login.example/token", ClientSecretFile: good}},
		"a secret in it": {Auth: AuthXOAUTH2, Token: Token{URL: "https://a:b@login.example/", ClientSecretFile: good}},
		"no key file":    {Auth: AuthXOAUTH2, Token: Token{ServiceAccountFile: good}},
		"another's server": {Auth: AuthXOAUTH2, Token: Token{ServiceAccountFile: secretFile(t,
			`{"client_email":"a","private_key":"b","token_uri":"http://login.example/"}`)}},
	} {
		s.Address = "127.0.0.1:143"
		if err := s.Defect(); err == nil {
			t.Errorf("%s: nothing is said", name)
		}
	}
}
