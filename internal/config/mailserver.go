package config

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// What [[inbound.mailbox.server]] means with backend = "graph" and nothing else: the global service, for which all
// application permissions are asked that the administrator gave.
const (
	graphURL   = "https://graph.microsoft.com/v1.0"
	graphScope = "https://graph.microsoft.com/.default"
)

// MailServers are the servers of [inbound.mailbox] in their order, with their defaults: first each
// [[inbound.mailbox.server]], then the one of the key imap.
func (m Mailbox) MailServers() (all []MailServer) {
	for _, s := range m.Servers {
		s.Backend, s.TLS, s.Auth = cmp.Or(s.Backend, "imap"), cmp.Or(s.TLS, "implicit"), cmp.Or(s.Auth, "login")
		if s.Backend == "graph" {
			s.Address = strings.TrimSuffix(cmp.Or(s.Address, graphURL), "/")
			if s.Token.URL != "" {
				s.Token.Scope = cmp.Or(s.Token.Scope, graphScope)
			}
		}
		s.Unread, s.Read, s.Notice = cmp.Or(s.Unread, m.Unread), cmp.Or(s.Read, m.Read), cmp.Or(s.Notice, m.Notice)
		if s.MaxAge == nil {
			s.MaxAge = &m.MaxAge
		}
		all = append(all, s)
	}
	if i := m.IMAP; m.Backend == "imap" && (i.MasterUser != "" || len(all) == 0) {
		all = append(all, MailServer{Domains: []string{"*"}, Backend: "imap", Address: i.Address,
			TLS: map[string]string{"tls": "implicit"}[i.TLS], Auth: "login",
			Login: "{address}" + i.Separator + "{master}", MasterUser: i.MasterUser, PasswordFile: i.PasswordFile,
			Unread: m.Unread, Read: m.Read, Notice: m.Notice, MaxAge: &m.MaxAge})
		if last := &all[len(all)-1]; last.TLS == "" {
			last.TLS = i.TLS
		}
	}
	return all
}

// Any says whether there is a way into anybody's mailbox.
func (m Mailbox) Any() bool {
	return slices.ContainsFunc(m.MailServers(), func(s MailServer) bool { return s.Backend != "none" })
}

// Path is the key of server number n of MailServers.
func (m Mailbox) Path(n int) string {
	if n < len(m.Servers) {
		return "inbound.mailbox.server." + strconv.Itoa(n)
	}
	return "inbound.mailbox.imap"
}

// checkMailbox checks [inbound.mailbox].
func (c *Config) checkMailbox(s *source) {
	m := c.Inbound.Mailbox
	s.is("inbound.mailbox.unread", checkFolder(m.Unread, "delete", "replace"))
	s.is("inbound.mailbox.read", checkFolder(m.Read, "keep", "delete"))
	for n, server := range m.Servers {
		s.is(m.Path(n)+".unread", checkFolder(cmp.Or(server.Unread, "delete"), "delete", "replace"))
		s.is(m.Path(n)+".read", checkFolder(cmp.Or(server.Read, "keep"), "keep", "delete"))
	}
	for n, server := range m.MailServers() {
		s.each(m.Path(n)+".domains", server.Domains, c.checkPattern)
		server.check(s, m.Path(n))
	}
	s.demand("inbound.mailbox.imap.separator", m.Backend == "none" || m.IMAP.Separator != "", "must not be empty")
}

// check checks one server; at is the path of its table.
func (m MailServer) check(s *source, at string) {
	s.demand(at, len(m.Domains) > 0, "a server needs domains: those of the recipients whose mailboxes it has; "+
		"\"*\" is all")
	if m.Backend == "none" {
		return
	}
	if m.Backend == "graph" {
		s.demand(at+".token", m.Token.ServiceAccountFile == "", "Graph takes tokens from url or file: see docs/mailbox.md")
		m.Token.check(s, at+".token", "backend = \"graph\"")
		s.demand(at+".unread", m.Unread != "replace", "Graph leaves no notice in a mailbox: write \"delete\" or "+
			"\"move:Folder\" for this server")
		return
	}
	s.demand(at, m.Address != "", "needs the address of the IMAP server")
	if m.Address != "" {
		s.is(at+".address", named(m.Address, checkHostPort(m.Address)))
	}
	s.demand(at+".tls", m.TLS != "none" || isLoopback(m.Address), "must be starttls or implicit (in imap: tls): the "+
		"server is on another machine, and the password would cross the network unencrypted")
	if m.Auth == "login" || m.Auth == "plain" {
		s.demand(at, m.MasterUser != "", "needs master_user: the login that opens all mailboxes")
		s.demand(at, m.PasswordFile != "", "needs password_file: the password of master_user")
		return
	}
	m.Token.check(s, at+".token", "auth = \""+m.Auth+"\"")
}

// check wants exactly one of the three sources of tokens.
func (t TokenSource) check(s *source, at, way string) {
	sources := 0
	for _, named := range []bool{t.URL != "", t.ServiceAccountFile != "", t.File != ""} {
		if named {
			sources++
		}
	}
	s.demand(at, sources == 1, way+" needs one source of access tokens: url with client_id and "+
		"client_secret_file, or service_account_file, or file")
	s.demand(at, t.URL == "" || t.ClientID != "" && t.ClientSecretFile != "", "url needs client_id and client_secret_file")
}

// MailSecrets are the files with secrets that the servers of [inbound.mailbox] read, each by its key.
func (m Mailbox) MailSecrets() map[string]string {
	files := map[string]string{}
	for n, s := range m.MailServers() {
		for key, path := range s.secrets() {
			files[m.Path(n)+"."+key] = path
		}
	}
	return files
}

func (m MailServer) secrets() map[string]string {
	files := map[string]string{}
	for key, path := range map[string]string{"password_file": m.PasswordFile,
		"token.client_secret_file": m.Token.ClientSecretFile, "token.service_account_file": m.Token.ServiceAccountFile,
		"token.file": m.Token.File} {
		if path != "" && m.Backend != "none" {
			files[key] = path
		}
	}
	return files
}
