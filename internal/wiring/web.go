package wiring

import (
	"context"
	"path/filepath"
	"strings"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/config"
	"github.com/recall-milter/recall-milter/internal/identity"
	"github.com/recall-milter/recall-milter/internal/mark"
	"github.com/recall-milter/recall-milter/internal/post"
	"github.com/recall-milter/recall-milter/internal/recall"
	"github.com/recall-milter/recall-milter/internal/retraction"
	"github.com/recall-milter/recall-milter/internal/socketmap"
	"github.com/recall-milter/recall-milter/internal/trial"
	"github.com/recall-milter/recall-milter/internal/web"
	"github.com/recall-milter/recall-milter/policy"
)

// WebLog is told of what the page and the API do.
type WebLog interface {
	web.Log
	recall.Log
	retraction.Log
}

// Web makes the page and the API of the config in a file. The marker needs its secret before anybody is served.
func Web(c *config.Config, file string, store *holdstore.Store, marker *mark.Marker, log WebLog) (*web.Server, error) {
	texts, err := Texts(c, file)
	if err != nil {
		return nil, err
	}
	bare := *c
	bare.Inbound.Mailbox.Backend = "none" // the daemon has the password of the mailboxes, not the page
	late, err := Retractor(&bare, texts, store, marker, log)
	if err != nil {
		return nil, err
	}
	outbound, err := Outbound(c)
	if err != nil {
		return nil, err
	}
	desk, err := Desk(c, texts, store, outbound.Rule, late, nil, log)
	if err != nil {
		return nil, err
	}
	words, err := web.ReadTexts(filepath.Join(filepath.Dir(file), "texts"), c.Web.Languages...)
	if err != nil {
		return nil, err
	}
	o, err := webOptions(c)
	if err != nil {
		return nil, err
	}
	o.Rules = trial.Rules{Outbound: outbound, MaxSize: int64(c.Hold.MaxSize),
		Ask: Answers(&socketmap.Client{}, Memory(c, func() (*holdstore.Store, error) { return store, nil }, func(error) {}))}
	return web.New(store, desk, post.New(store, texts, c.Recall.Addresses...), marker, words, log, o), nil
}

func webOptions(c *config.Config) (o web.Options, err error) {
	w := c.Web
	o = web.Options{BaseURL: strings.TrimSuffix(w.BaseURL, "/"), Header: w.SignIn.Header, LinkMail: w.SignIn.Link,
		Session: time.Duration(w.Session), Preview: w.Preview, MaxGrace: time.Duration(c.Hold.MaxGrace),
		Mailboxes: c.Inbound.Mailbox.Any(), ClawKeep: clawKeep(c), Grace: time.Duration(c.Hold.Grace),
		OwnGrace: c.Hold.Own(), Reason: c.Reason, ReasonFor: Reason(c), Clock: Clock(c)}
	if o.Proxies, err = policy.ParseNetworks(w.TrustedProxies); err != nil {
		return o, err
	}
	if o.Operators, err = c.Lists.Patterns(w.Operators); err != nil {
		return o, err
	}
	if i := w.SignIn.OIDC; i.Issuer != "" {
		o.Identity, err = identity.New(identity.Options{Issuer: i.Issuer, ClientID: i.ClientID,
			ClientSecretFile: i.ClientSecretFile, RedirectURL: o.BaseURL + web.OIDCCallback,
			SignedOutURL: o.BaseURL + web.SignedOut, LoginClaim: i.LoginClaim, AddressClaim: i.AddressClaim,
			OperatorClaim: i.OperatorClaim})
		if err != nil {
			return o, err
		}
	}
	for _, r := range c.Hold.Rules {
		if len(r.Delegates) == 0 {
			continue
		}
		logins, err := c.Lists.Patterns(r.Delegates)
		if err != nil {
			return o, err
		}
		o.Delegates = append(o.Delegates, web.Delegates{Rule: r.Name, Logins: logins, Senders: single(r.Sender)})
	}
	return o, nil
}

// single returns a list of patterns that are names; nil when it is empty, or one of them is for several.
func single(patterns []string) []string {
	for _, p := range patterns {
		if strings.ContainsAny(p, "*?!/") || strings.HasPrefix(p, "@") {
			return nil
		}
	}
	return patterns
}

// HoldLink makes links to the page of one hold; nil: the config has no page. A link is valid for as long as something
// can be done about the hold: until it has left at the latest, and while a recalled one is kept.
func HoldLink(c *config.Config, marker *mark.Marker) func(h *holdstore.Hold) string {
	if c.Web.BaseURL == "" || len(c.Web.Listen) == 0 {
		return nil
	}
	return func(h *holdstore.Hold) string {
		last := h.HeldAt.Add(time.Duration(c.Hold.MaxGrace))
		if h.Due.After(last) {
			last = h.Due
		}
		link, ok := marker.HoldLink(h.ID, last.Add(time.Duration(c.Recall.Retention)))
		if !ok {
			return ""
		}
		return strings.TrimSuffix(c.Web.BaseURL, "/") + "/l/" + link
	}
}

// GatewaySecret returns the secret of secret_file, or the one in the store.
func GatewaySecret(ctx context.Context, c *config.Config, store *holdstore.Store) ([]byte, error) {
	if c.SecretFile != "" {
		return Secret(c.SecretFile)
	}
	return store.Secret(ctx)
}
