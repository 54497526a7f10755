package identity

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
)

// keys verify what the provider has signed.
type keys struct {
	published  oidc.KeySet
	issuer     string
	client     string // ID
	algorithms []string
}

// publicKeys are the algorithms with which a provider can sign without a secret that we share.
var publicKeys = []string{oidc.RS256, oidc.RS384, oidc.RS512, oidc.ES256, oidc.ES384, oidc.ES512, oidc.PS256,
	oidc.PS384, oidc.PS512, oidc.EdDSA}

// keysAt returns the keys that the provider publishes, for ID tokens and for logout tokens. These are two sets, so that
// no logout token that somebody has made up delays a sign-in.
func (p *Provider) keysAt(ctx context.Context, address string, algorithms []string) (tokens, logouts keys) {
	tokens = keys{oidc.NewRemoteKeySet(ctx, address), p.o.Issuer, p.o.ClientID,
		slices.DeleteFunc(slices.Clone(algorithms), func(a string) bool { return !slices.Contains(publicKeys, a) })}
	slow := *p.client
	slow.Timeout += keysPause
	slow.Transport = &paced{next: slow.Transport}
	logouts = tokens
	logouts.published = oidc.NewRemoteKeySet(oidc.ClientContext(ctx, &slow), address)
	return tokens, logouts
}

// keysPause is how long the keys are not read again. A token can name any key, and one that is not known has the keys
// read again: once for all that wait for it. Tests set it lower.
var keysPause = 5 * time.Second

// paced lets no request begin within keysPause after the last one.
type paced struct {
	next http.RoundTripper
	mu   sync.Mutex
	free time.Time // when the next one may begin
}

func (p *paced) RoundTrip(r *http.Request) (*http.Response, error) {
	p.mu.Lock()
	wait := max(time.Until(p.free), 0)
	p.free = time.Now().Add(wait + keysPause)
	p.mu.Unlock()
	select {
	case <-time.After(wait):
		return p.next.RoundTrip(r)
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
}

// read has a token verified, with a verifier of these keys. The error is ErrRefused, or ErrAway where the keys of the
// provider can't be read.
func (k keys) read(verify func(*oidc.IDTokenVerifier) error) error {
	noted := &noted{KeySet: k.published}
	err := verify(oidc.NewVerifier(k.issuer, noted, &oidc.Config{ClientID: k.client, SupportedSigningAlgs: k.algorithms}))
	switch {
	case err == nil:
		return nil
	case noted.away != nil:
		return fmt.Errorf("%w: %w", ErrAway, noted.away)
	}
	return fmt.Errorf("%w: %w", ErrRefused, err)
}

// noted notes why keys could not be read: the verifier returns that as one more reason why a signature is not valid.
type noted struct {
	oidc.KeySet
	away error
}

// VerifySignature is that of the key set, whose errors have a cause only when the keys could not be read.
func (n *noted) VerifySignature(ctx context.Context, token string) ([]byte, error) {
	payload, err := n.KeySet.VerifySignature(ctx, token)
	n.away = errors.Unwrap(err)
	return payload, err
}
