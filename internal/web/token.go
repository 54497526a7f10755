package web

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/mark"
	"github.com/recall-milter/recall-milter/policy"
)

// Scopes of a token; each includes those before it.
const (
	ScopeRead  = "read"
	ScopeAct   = "act"
	ScopeAdmin = "admin"
)

// Scopes lists all scopes, the smallest first.
var Scopes = []string{ScopeRead, ScopeAct, ScopeAdmin}

// Token is the record of an API token. The token itself is nowhere but with whoever uses it.
type Token struct {
	Name    string    `json:"name"`
	Scope   string    `json:"scope"`
	For     []string  `json:"for,omitempty"` // patterns of logins that it acts for; empty: it speaks for the site
	Made    time.Time `json:"made"`
	Expires time.Time `json:"expires,omitzero"`
	Digest  string    `json:"-"`
}

// TokenStore keeps the records of tokens.
type TokenStore interface {
	SetToken(ctx context.Context, digest, record string) error
	Tokens(ctx context.Context) (map[string]string, error)
	RemoveToken(ctx context.Context, digest string) error
}

// tokenStart tells people and secret scanners what a token is.
const tokenStart = "rmt_"

// ErrTokenName says that there is a token of that name.
var ErrTokenName = errors.New("there is a token of that name")

// NewToken makes a token and keeps its record, signed, so that nobody can write one into the store without the
// gateway's secret.
func NewToken(ctx context.Context, store TokenStore, m *mark.Marker, t Token) (token string, err error) {
	all, _, err := TokenList(ctx, store, m)
	if err != nil {
		return "", err
	}
	if slices.ContainsFunc(all, func(other Token) bool { return other.Name == t.Name }) {
		return "", fmt.Errorf("%w: %s", ErrTokenName, t.Name)
	}
	token = tokenStart + rand.Text()
	record, _ := json.Marshal(t)
	digest := tokenDigest(token)
	signed, ok := m.Sign(mark.Token, digest+" "+string(record))
	if !ok {
		return "", errors.New("the gateway's secret is not there yet")
	}
	return token, store.SetToken(ctx, digest, signed)
}

// TokenList returns all tokens by name, and how many records in the store are not the gateway's own. With ErrPartial it
// is what can be seen of the store.
func TokenList(ctx context.Context, store TokenStore, m *mark.Marker) (all []Token, foreign int, err error) {
	records, err := store.Tokens(ctx)
	for digest, record := range records {
		t, ok := readToken(m, digest, record)
		if !ok {
			foreign++
			continue
		}
		all = append(all, t)
	}
	slices.SortFunc(all, func(a, b Token) int { return strings.Compare(a.Name, b.Name) })
	return all, foreign, err
}

func readToken(m *mark.Marker, digest, record string) (t Token, ok bool) {
	text, ok := m.Signed(mark.Token, record)
	if !ok {
		return t, false
	}
	of, body, _ := strings.Cut(text, " ")
	t.Digest = digest
	return t, of == digest && json.Unmarshal([]byte(body), &t) == nil
}

func tokenDigest(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

// errNoToken says nothing of why: whether a token was revoked, has ended, or never was.
var errNoToken = unauthorized("the token is unknown, revoked or has ended")

// token finds the record of a token that was sent.
func (s *Server) token(ctx context.Context, token string) (t Token, err error) {
	if !strings.HasPrefix(token, tokenStart) || len(token) > 100 {
		return t, errNoToken
	}
	digest := tokenDigest(token)
	record, err := s.store.Token(ctx, digest)
	if errors.Is(err, holdstore.ErrNotFound) {
		return t, errNoToken
	}
	if err != nil {
		return t, err
	}
	t, ok := readToken(s.marker, digest, record)
	if !ok || !t.Expires.IsZero() && !s.now().Before(t.Expires) {
		return t, errNoToken
	}
	return t, nil
}

// actsFor says whether a token may act for a login.
func (t Token) actsFor(login string) bool {
	if len(t.For) == 0 {
		return true
	}
	patterns, err := policy.ParsePatterns(t.For)
	return err == nil && patterns.Names(login)
}

// may says whether a token has a scope.
func (t Token) may(scope string) bool {
	return slices.Index(Scopes, t.Scope) >= slices.Index(Scopes, scope)
}
