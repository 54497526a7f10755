package identity

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"net/mail"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/recall-milter/recall-milter/internal/sanitize"
)

// Person is somebody who has signed in.
type Person struct {
	Subject   string    // at the provider
	Session   string    // there; empty: it does not say
	At        time.Time // of the sign-in, by the provider's clock
	Login     string
	Addresses []string // verified
	Operator  bool     // they meet the OperatorClaim
}

// Bounds of what a provider may say of a person: it must fit into a cookie.
const (
	nameMost      = 254 // bytes of a login, an address, or an ID
	addressesMost = 5
)

// Finish exchanges the code with which the browser came back, and returns who has signed in. The error is ErrAway,
// ErrRefused or ErrNobody.
func (p *Provider) Finish(ctx context.Context, a Attempt, code string) (Person, error) {
	e, err := p.ask(ctx)
	if err != nil {
		return Person{}, err
	}
	secret, err := p.secret()
	if err != nil {
		return Person{}, fmt.Errorf("%w: %w", ErrAway, err)
	}
	ctx = oidc.ClientContext(ctx, p.client)
	config := e.oauth
	config.ClientSecret = secret
	tokens, err := config.Exchange(ctx, code, oauth2.VerifierOption(a.Verifier))
	if err != nil {
		return Person{}, refused(err)
	}
	raw, _ := tokens.Extra("id_token").(string)
	var token *oidc.IDToken
	err = e.tokens.read(func(v *oidc.IDTokenVerifier) (err error) {
		token, err = v.Verify(ctx, raw)
		return err
	})
	if err != nil {
		return Person{}, err
	}
	if subtle.ConstantTimeCompare([]byte(token.Nonce), []byte(a.Nonce)) != 1 {
		return Person{}, fmt.Errorf("%w: it was made for another attempt (nonce)", ErrRefused)
	}
	said := claims{}
	if err := token.Claims(&said); err != nil {
		return Person{}, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	if party := said.text("azp"); party != "" && party != p.o.ClientID || party == "" && len(token.Audience) > 1 {
		return Person{}, fmt.Errorf("%w: it was made for another program (azp)", ErrRefused)
	}
	if p.lacks(said) && e.provider.UserInfoEndpoint() != "" {
		if err := said.add(ctx, e.provider, tokens, token.Subject); err != nil {
			return Person{}, err
		}
	}
	return p.person(token, said)
}

// refused says what an error of the token endpoint is: a code that it does not take, or that it can't be asked.
func refused(err error) error {
	said := new(oauth2.RetrieveError)
	if !errors.As(err, &said) || said.Response == nil || said.Response.StatusCode >= http.StatusInternalServerError {
		return fmt.Errorf("%w: %w", ErrAway, err)
	}
	return fmt.Errorf("%w: the provider answered %d %s", ErrRefused, said.Response.StatusCode,
		sanitize.ServerReply(said.ErrorCode))
}

// claims are what the provider says of a person.
type claims map[string]any

func (c claims) text(name string) string {
	text, _ := c[name].(string)
	return text
}

// is says whether a claim is true. Some providers write it as a text.
func (c claims) is(name string) bool { return c[name] == true || c[name] == "true" }

// list returns a claim that is a text or a list of texts.
func (c claims) list(name string) (all []string) {
	if text := c.text(name); text != "" {
		return []string{text}
	}
	values, _ := c[name].([]any)
	for _, v := range values {
		if text, ok := v.(string); ok && text != "" {
			all = append(all, text)
		}
	}
	return all
}

// add asks the provider for the claims that it does not put into the ID token.
func (c claims) add(ctx context.Context, from *oidc.Provider, tokens *oauth2.Token, subject string) error {
	info, err := from.UserInfo(ctx, oauth2.StaticTokenSource(tokens))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrAway, err)
	}
	if info.Subject != subject {
		return fmt.Errorf("%w: the user info is of somebody else", ErrRefused)
	}
	more := claims{}
	if err := info.Claims(&more); err != nil {
		return fmt.Errorf("%w: %w", ErrRefused, err)
	}
	if _, ours := c["email"]; ours { // an address and its proof come from the same place
		delete(more, "email_verified")
	}
	for name, value := range more {
		if _, known := c[name]; !known {
			c[name] = value
		}
	}
	return nil
}

// lacks says whether the ID token does not have all that is asked for.
func (p *Provider) lacks(c claims) bool {
	operator, _, _ := strings.Cut(p.o.OperatorClaim, "=")
	return slices.ContainsFunc([]string{p.o.LoginClaim, p.o.AddressClaim, operator}, func(name string) bool {
		_, there := c[name]
		return name != "" && !there
	})
}

// person reads who somebody is.
func (p *Provider) person(token *oidc.IDToken, c claims) (Person, error) {
	out := Person{Subject: token.Subject, At: token.IssuedAt, Session: c.text("sid"), Operator: p.operator(c)}
	if len(out.Subject) > nameMost || len(out.Session) > nameMost {
		return Person{}, fmt.Errorf("%w: its IDs are too long", ErrRefused)
	}
	if p.o.LoginClaim != "" {
		out.Login = c.text(p.o.LoginClaim)
	}
	if len(out.Login) > nameMost || strings.ContainsFunc(out.Login, unicode.IsControl) ||
		strings.TrimSpace(out.Login) != out.Login {
		return Person{}, fmt.Errorf("%w: the claim %s is not a login", ErrRefused, p.o.LoginClaim)
	}
	if p.verified(c) {
		for _, a := range c.list(p.o.AddressClaim) {
			if parsed, err := mail.ParseAddress(a); err == nil && parsed.Address == a && len(a) <= nameMost &&
				len(out.Addresses) < addressesMost {
				out.Addresses = append(out.Addresses, a)
			}
		}
	}
	if out.Login == "" && len(out.Addresses) == 0 {
		return Person{}, ErrNobody
	}
	return out, nil
}

// verified says whether the address counts. The claim email is what a person has typed, unless email_verified says
// more. Another claim is what the administrator of the provider has mapped to it, and counts unless it is said not to
// be verified.
func (p *Provider) verified(c claims) bool {
	_, said := c["email_verified"]
	return p.o.AddressClaim != "" && (c.is("email_verified") || p.o.AddressClaim != "email" && !said)
}

// operator says whether the claim of operators is true, or has the value that makes an operator.
func (p *Provider) operator(c claims) bool {
	name, value, valued := strings.Cut(p.o.OperatorClaim, "=")
	switch {
	case name == "":
		return false
	case valued:
		return slices.Contains(c.list(name), value)
	}
	return c.is(name)
}
