package identity

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/coreos/go-oidc/v3/oidc/oidctest"
)

// publisher is a provider that publishes its keys when a test lets it.
type publisher struct {
	*Provider
	url   string
	key   *rsa.PrivateKey
	asked chan struct{} // gets one for each look at the keys
	mu    sync.Mutex
	wait  chan struct{} // looks at the keys wait until it is closed; nil: they don't wait
	away  bool
}

func publish(t *testing.T) *publisher {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	p := &publisher{key: key, asked: make(chan struct{}, 100)}
	known := &oidctest.Server{
		PublicKeys: []oidctest.PublicKey{{PublicKey: key.Public(), KeyID: "k", Algorithm: oidc.RS256}}}
	mux := http.NewServeMux()
	mux.Handle("/", known)
	mux.HandleFunc("/keys", func(w http.ResponseWriter, r *http.Request) {
		p.asked <- struct{}{}
		p.mu.Lock()
		wait, away := p.wait, p.away
		p.mu.Unlock()
		if wait != nil {
			<-wait
		}
		if away {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		known.ServeHTTP(w, r)
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	p.url = server.URL
	known.SetIssuer(p.url)
	if p.Provider, err = New(Options{Issuer: p.url, ClientID: "page"}); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *publisher) token(key string) string {
	text, _ := json.Marshal(map[string]any{"iss": p.url, "aud": "page", "jti": "1", "sub": "7",
		"iat": time.Now().Unix(), "exp": time.Now().Add(time.Minute).Unix(), "events": map[string]any{
			"http://schemas.openid.net/event/backchannel-logout": map[string]any{}}})
	return oidctest.SignIDToken(p.key, key, oidc.RS256, string(text))
}

// Whoever sends tokens that name keys which nobody has published makes the keys be read, and delays no genuine token.
func TestForgedLogoutTokensDelayNoGenuineOne(t *testing.T) {
	keysPause = time.Millisecond
	p := publish(t)
	if _, err := p.ReadSignedOut(t.Context(), p.token("k")); err != nil {
		t.Fatal(err)
	}
	<-p.asked
	p.mu.Lock()
	p.wait = make(chan struct{})
	p.mu.Unlock()
	var work sync.WaitGroup
	for range 20 {
		work.Go(func() {
			if _, err := p.ReadSignedOut(t.Context(), p.token("forged")); !errors.Is(err, ErrRefused) {
				t.Errorf("a forged token: %v", err)
			}
		})
	}
	<-p.asked // one of them has the keys read, and that hangs
	soon, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if _, err := p.ReadSignedOut(soon, p.token("k")); err != nil {
		t.Errorf("a genuine token meanwhile: %v", err)
	}
	close(p.wait)
	work.Wait()
}

// A provider tries again what was not possible, and does not try again what was wrong.
func TestALogoutIsNotWrongWhenTheKeysCanNotBeRead(t *testing.T) {
	p := publish(t)
	p.away = true
	if _, err := p.ReadSignedOut(t.Context(), p.token("k")); !errors.Is(err, ErrAway) || errors.Is(err, ErrRefused) {
		t.Errorf("with the keys away: %v", err)
	}
}

type answering func(*http.Request) (*http.Response, error)

func (f answering) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestTheKeysAreReadOnceInAWhile(t *testing.T) {
	keysPause = 5 * time.Second
	synctest.Test(t, func(t *testing.T) {
		began, last := time.Now(), time.Time{}
		p := &paced{next: answering(func(*http.Request) (*http.Response, error) {
			last = time.Now()
			return nil, nil //nolint:nilnil // nobody looks at it
		})}
		for range 4 {
			r, _ := http.NewRequestWithContext(t.Context(), "GET", "/", nil)
			_, _ = p.RoundTrip(r)
		}
		if took := last.Sub(began); took != 3*keysPause {
			t.Errorf("four looks at the keys within %v", took)
		}
	})
}
