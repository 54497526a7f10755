package config

import (
	"errors"
	"net/url"
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
}

func (c *Config) checkWeb(s *source) {
	w := c.Web
	s.each("web.listen", w.Listen, checkAddress)
	s.each("web.trusted_proxies", w.TrustedProxies, checkNetwork)
	s.each("web.operators", w.Operators, checkPattern)
	s.is("web.sign_in.header", checkFieldName(w.SignIn.Header))
	s.demand("web.languages", len(w.Languages) > 0, "must name at least one language")
	s.demand("web.session", w.Session > 0, "must be longer than 0")
	s.demand("web.tls.key_file", (w.TLS.CertFile == "") == (w.TLS.KeyFile == ""),
		"cert_file and key_file belong together: set both or none")
	if w.BaseURL != "" {
		s.is("web.base_url", checkBaseURL(w.BaseURL))
	}
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
