package config

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// Web is the table [web]: the page and the API, which recall-web serves.
type Web struct {
	Listen         []string `toml:"listen"`          // host:port or unix:/path; empty: neither page nor API
	BaseURL        string   `toml:"base_url"`        // where browsers find the page
	TLS            WebTLS   `toml:"tls"`             // empty: plain HTTP
	TrustedProxies []string `toml:"trusted_proxies"` // networks
	Session        Duration `toml:"session"`         // how long a sign-in lasts
	Preview        bool     `toml:"preview"`         // show the text of mail
	Operators      []string `toml:"operators"`       // patterns of logins and addresses
	Languages      []string `toml:"languages"`       // that are offered; the first is the default
	SignIn         SignIn   `toml:"sign_in"`
}

// WebTLS is the certificate of the page.
type WebTLS struct {
	CertFile string `toml:"cert_file"`
	KeyFile  string `toml:"key_file"`
}

// SignIn is the table [web.sign_in]: the ways in which people say who they are.
type SignIn struct {
	Link   bool   `toml:"link"`   // by a mail to their address
	Header string `toml:"header"` // by a reverse proxy's header field; empty: none
	OIDC   OIDC   `toml:"oidc"`   // at an OpenID Connect provider
}

// OIDC is the table oidc of [web.sign_in].
type OIDC struct {
	Issuer           string `toml:"issuer"` // empty: none
	ClientID         string `toml:"client_id"`
	ClientSecretFile string `toml:"client_secret_file"` // empty: a public client
	LoginClaim       string `toml:"login_claim"`        // names the login; empty: none
	AddressClaim     string `toml:"address_claim"`      // names the address; empty: none
	OperatorClaim    string `toml:"operator_claim"`     // CLAIM that is true, or CLAIM=VALUE
}

func (c *Config) checkWeb(s *source) {
	w := c.Web
	s.each("web.listen", w.Listen, checkAddress)
	s.each("web.trusted_proxies", w.TrustedProxies, checkNetwork)
	s.each("web.operators", w.Operators, c.checkPattern)
	s.demand("web.operators", !OnlyExcludes(w.Operators), "only excludes: name who is an operator")
	s.is("web.sign_in.header", checkFieldName(w.SignIn.Header))
	s.demand("web.languages", len(w.Languages) > 0, "must name at least one language")
	s.demand("web.session", w.Session > 0, "must be longer than 0")
	s.demand("web.tls.key_file", (w.TLS.CertFile == "") == (w.TLS.KeyFile == ""),
		"cert_file and key_file belong together: set both or none")
	if w.BaseURL != "" {
		s.is("web.base_url", checkBaseURL(w.BaseURL))
	}
	w.SignIn.OIDC.check(s)
	s.demand("web.base_url", w.BaseURL != "" || len(w.Listen) == 0,
		"must say where browsers find the page, like \"https://recall.corp.test\"")
}

// checkBaseURL takes what begins every address of the page.
func checkBaseURL(v string) error {
	u, err := url.Parse(v)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || strings.Trim(u.Path, "/") != "" ||
		u.RawQuery+u.Fragment != "" || u.User != nil {
		return errors.New("invalid base_url: use a value like \"https://recall.corp.test\", without a path")
	}
	return nil
}

func (o OIDC) check(s *source) {
	const key = "web.sign_in.oidc."
	if o.Issuer == "" {
		s.demand(key+"issuer", o.ClientID == "" && o.ClientSecretFile == "" && o.OperatorClaim == "",
			"is missing: name the provider, as it writes itself in its discovery document")
		return
	}
	s.is(key+"issuer", checkIssuer(o.Issuer))
	s.demand(key+"client_id", o.ClientID != "", "must be the ID that the provider has given to this page")
	s.demand(key+"login_claim", o.LoginClaim+o.AddressClaim != "",
		"login_claim and address_claim are empty: one of them must say who has signed in")
	s.demand(key+"operator_claim", !strings.HasPrefix(o.OperatorClaim, "=") && !strings.HasSuffix(o.OperatorClaim, "="),
		"invalid: use a value like \"recall_operator\" for a claim that is true, or \"groups=recall-operators\"")
}

// checkIssuer takes https, and http on this machine: what the provider signs is checked, but a secret goes there.
func checkIssuer(v string) error {
	u, err := url.Parse(v)
	if err == nil && anyTenant(u) {
		return fmt.Errorf("invalid issuer %q: it stands for everybody's tenants, and no sign-in comes from it: "+
			"use \"https://%s/TENANT-ID/v2.0\" with the ID of your own", v, u.Host)
	}
	if err == nil && u.Host != "" && u.User == nil && u.RawQuery+u.Fragment == "" && (u.Scheme == "https" ||
		u.Scheme == "http" && (u.Hostname() == "127.0.0.1" || u.Hostname() == "::1" || u.Hostname() == "localhost")) {
		return nil
	}
	return fmt.Errorf("invalid issuer %q: use a value like \"https://login.corp.test/realms/corp\"", v)
}

// anyTenant says whether an issuer is one of those of Microsoft that stand for several tenants.
func anyTenant(issuer *url.URL) bool {
	tenant, _, _ := strings.Cut(strings.TrimPrefix(issuer.Path, "/"), "/")
	switch strings.ToLower(issuer.Hostname()) {
	case "login.microsoftonline.com", "login.microsoftonline.us", "login.partner.microsoftonline.cn",
		"login.windows.net", "login.microsoft.com", "sts.windows.net":
		return slices.Contains([]string{"common", "organizations", "consumers", ""}, strings.ToLower(tenant))
	}
	return false
}
