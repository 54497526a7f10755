// Package identity lets people prove who they are at an OpenID Connect provider, by the authorization code flow with
// PKCE (OpenID Connect Core 1.0, RFC 7636), and hears from it who has signed out (OpenID Connect Back-Channel Logout).
//
// Rules that hold: nothing is believed that the provider has not signed for us, for this attempt, and now. An address
// counts only when the provider says that it has verified it. Each request to the provider is bounded in time and size.
package identity

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
	"golang.org/x/sync/singleflight"

	"github.com/recall-milter/recall-milter/internal/file"
)

// Options are the table oidc of [web.sign_in].
type Options struct {
	Issuer           string // exactly as the provider writes it
	ClientID         string
	ClientSecretFile string // empty: a public client, which PKCE alone protects
	RedirectURL      string // where the provider sends the browser back
	SignedOutURL     string // where it sends a browser that has signed out there

	LoginClaim    string // names the login; empty: none
	AddressClaim  string // names the mail address; empty: none
	OperatorClaim string // CLAIM that must be true, or CLAIM=VALUE; empty: none makes an operator
}

// Provider is an OpenID Connect provider. It is asked for its endpoints when they are needed first, so that it may be
// away while we start. Safe for concurrent use.
type Provider struct {
	o      Options
	client *http.Client
	known  atomic.Pointer[endpoints]

	asking singleflight.Group // the request for the endpoints, which all share that need them
	failed error              // of the last such request, as asking sees it
	tried  time.Time          // when that was
}

// endpoints are what the provider has published about itself.
type endpoints struct {
	oauth    oauth2.Config
	provider *oidc.Provider
	tokens   keys   // of ID tokens, which come from the provider itself
	logouts  keys   // of logout tokens, which anybody can send
	signOut  string // end_session_endpoint; empty: it has none
}

// Errors of a sign-in.
var (
	// ErrAway says that the provider can't be asked now.
	ErrAway = errors.New("the identity provider can't be reached")
	// ErrRefused says that a proof is not valid: not signed by the provider, not for us, not for this attempt, or old.
	ErrRefused = errors.New("the sign-in is not valid")
	// ErrNobody says that the proof is valid and names neither a login nor a verified address.
	ErrNobody = errors.New("the identity provider names neither a login nor a verified address")
)

// Bounds of what the provider may take.
const (
	answerTime = 10 * time.Second
	answerMost = 1 << 20 // bytes
	retryAfter = 5 * time.Second
)

// New returns a provider, or says what is wrong with the options, without asking it.
func New(o Options) (*Provider, error) {
	p := &Provider{o: o, client: &http.Client{Timeout: answerTime, Transport: bounded{http.DefaultTransport},
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse // a secret goes to the server that was named, and no further
		}}}
	_, err := p.secret()
	return p, err
}

// secret reads the client's secret each time: it may be renewed.
func (p *Provider) secret() (string, error) {
	if p.o.ClientSecretFile == "" {
		return "", nil
	}
	text, err := file.ReadSecret(p.o.ClientSecretFile)
	if err != nil {
		return "", fmt.Errorf("web.sign_in.oidc.client_secret_file: %w", err)
	}
	secret := strings.TrimSpace(string(text))
	if secret == "" {
		return "", fmt.Errorf("web.sign_in.oidc.client_secret_file: %s is empty", p.o.ClientSecretFile)
	}
	return secret, nil
}

// bounded cuts answers that are too long: what was cut is not valid JSON.
type bounded struct{ next http.RoundTripper }

func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := b.next.RoundTrip(r)
	if err == nil {
		answer.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(answer.Body, answerMost), answer.Body}
	}
	return answer, err
}

// ask returns the endpoints, which the provider is asked for once. After a failure the next try waits some seconds.
func (p *Provider) ask(ctx context.Context) (*endpoints, error) {
	if known := p.known.Load(); known != nil {
		return known, nil
	}
	found, err, _ := p.asking.Do("", func() (any, error) {
		if p.known.Load() == nil && (p.failed == nil || time.Since(p.tried) >= retryAfter) {
			var known *endpoints
			known, p.failed = p.discover(context.WithoutCancel(ctx)) // others wait as well; the client has a bound
			p.tried = time.Now()
			p.known.Store(known)
		}
		return p.known.Load(), p.failed
	})
	known, _ := found.(*endpoints)
	return known, err
}

func (p *Provider) discover(ctx context.Context) (*endpoints, error) {
	ctx = oidc.ClientContext(ctx, p.client)
	found, err := oidc.NewProvider(ctx, p.o.Issuer)
	if err != nil {
		return nil, fmt.Errorf("%w: web.sign_in.oidc.issuer: %w", ErrAway, err)
	}
	var more struct {
		SignOut    string   `json:"end_session_endpoint"`
		Methods    []string `json:"token_endpoint_auth_methods_supported"`
		Keys       string   `json:"jwks_uri"`
		Algorithms []string `json:"id_token_signing_alg_values_supported"`
	}
	if err := found.Claims(&more); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrAway, err)
	}
	e := &endpoints{provider: found, signOut: more.SignOut,
		oauth: oauth2.Config{ClientID: p.o.ClientID, Endpoint: found.Endpoint(), RedirectURL: p.o.RedirectURL,
			Scopes: []string{oidc.ScopeOpenID, "profile", "email"}}}
	e.oauth.Endpoint.AuthStyle = p.style(more.Methods)
	for _, address := range []string{e.oauth.Endpoint.AuthURL, e.oauth.Endpoint.TokenURL, more.Keys} {
		if u, err := url.Parse(address); err != nil || u.Host == "" ||
			strings.HasPrefix(p.o.Issuer, "https:") && u.Scheme != "https" {
			return nil, fmt.Errorf("%w: it publishes the endpoint %q, which is not https", ErrAway, address)
		}
	}
	e.tokens, e.logouts = p.keysAt(ctx, more.Keys, more.Algorithms)
	return e, nil
}

// style is how the secret is sent. It is not found out by trying: a provider may take a second try for a stolen code.
func (p *Provider) style(methods []string) oauth2.AuthStyle {
	if p.o.ClientSecretFile == "" || len(methods) > 0 && !slices.Contains(methods, "client_secret_basic") {
		return oauth2.AuthStyleInParams
	}
	return oauth2.AuthStyleInHeader // what a provider supports that says nothing
}

// Attempt is what the browser keeps of a sign-in that it has begun.
type Attempt struct {
	State    string    `json:"s"`
	Nonce    string    `json:"n"`
	Verifier string    `json:"v"` // of PKCE
	Ends     time.Time `json:"e"`
}

// Begin returns the address at which the person signs in.
func (p *Provider) Begin(ctx context.Context, a Attempt) (address string, err error) {
	e, err := p.ask(ctx)
	if err != nil {
		return "", err
	}
	return e.oauth.AuthCodeURL(a.State, oidc.Nonce(a.Nonce), oauth2.S256ChallengeOption(a.Verifier)), nil
}

// SignOutURL is where the person can sign out at the provider too; empty: it has no such page, or was not asked yet.
func (p *Provider) SignOutURL() string {
	known := p.known.Load()
	if known == nil || known.signOut == "" {
		return ""
	}
	u, err := url.Parse(known.signOut)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" {
		return ""
	}
	q := u.Query()
	q.Set("client_id", p.o.ClientID)
	q.Set("post_logout_redirect_uri", p.o.SignedOutURL)
	u.RawQuery = q.Encode()
	return u.String()
}

// Trust names what decides whom a sign-in is of: a sign-in counts as long as that is the same.
func (p *Provider) Trust() string {
	return strings.Join([]string{p.o.Issuer, p.o.ClientID, p.o.LoginClaim, p.o.AddressClaim}, "\n")
}

// OperatorClaim is what makes an operator; empty: nothing does.
func (p *Provider) OperatorClaim() string { return p.o.OperatorClaim }

// Issuer names the provider.
func (p *Provider) Issuer() string { return p.o.Issuer }
