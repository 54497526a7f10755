package identity

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
)

// SignedOut is what the provider says in a back-channel logout.
type SignedOut struct {
	Subject string    // all sessions of this person; may be empty
	Session string    // this session; may be empty
	At      time.Time // by the provider's clock: what began later goes on
}

// logoutMost bounds a logout token, in bytes.
const logoutMost = 16 << 10

// ReadSignedOut verifies a logout token. Anybody can send one: a wrong one delays no other. The error is ErrRefused or
// ErrAway.
func (p *Provider) ReadSignedOut(ctx context.Context, token string) (s SignedOut, err error) {
	if len(token) > logoutMost {
		return s, fmt.Errorf("%w: it is too long", ErrRefused)
	}
	e, err := p.ask(ctx)
	if err != nil {
		return s, err
	}
	err = e.logouts.read(func(v *oidc.IDTokenVerifier) error {
		t, err := v.VerifyLogout(ctx, token)
		if err == nil && t.IssuedAt.Unix() <= 0 {
			err = errors.New("it does not say when it was made (iat)")
		}
		if err == nil {
			s = SignedOut{Subject: t.Subject, Session: t.SessionID, At: t.IssuedAt}
		}
		return err
	})
	return s, err
}
