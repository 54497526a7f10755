package mailbox

import (
	"errors"
	"fmt"
	"net"
	"regexp"
	"strconv"
	"strings"
	"unicode"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-sasl"

	"github.com/recall-milter/recall-milter/internal/file"
	"github.com/recall-milter/recall-milter/internal/sanitize"
)

// ErrLogin says that the server did not let us into a mailbox.
var ErrLogin = errors.New("login refused")

// Ways to log in to a user's mailbox.
const (
	AuthLogin       = "login"       // LOGIN (RFC 3501 section 6.2.3) with a name made of the user's and the master's
	AuthPlain       = "plain"       // PLAIN (RFC 4616): the master user authenticates, and acts as the user
	AuthXOAUTH2     = "xoauth2"     // Google's and Microsoft's form of an access token
	AuthOAuthBearer = "oauthbearer" // the standard's form of it (RFC 7628)
)

// placeholder is what a login template may have in braces.
var placeholder = regexp.MustCompile(`\{[a-z]*\}`)

// template is the login template; by default Dovecot's master user form with LOGIN, and else the address.
func (s Server) template() string {
	switch {
	case s.Login != "":
		return s.Login
	case s.Auth == AuthLogin:
		return "{address}*{master}"
	}
	return "{address}"
}

// name is the login name, or the authorization identity, that opens a user's mailbox.
func (s Server) name(user string) string {
	local, domain := split(user)
	return strings.NewReplacer("{address}", user, "{local}", local, "{domain}", domain, "{master}",
		s.MasterUser).Replace(s.template())
}

// means says whether a user's name in the template is that user's only: what separates the parts of a login may not be
// in what is filled in, or the name could be read as another login.
func (s Server) means(user string) bool {
	local, domain := split(user)
	filled := map[string]string{"{address}": user, "{local}": local, "{domain}": domain}
	template := s.template()
	for _, at := range placeholder.FindAllStringIndex(template, -1) {
		separators := strings.Trim(template[max(0, at[0]-1):at[0]]+template[at[1]:min(at[1]+1, len(template))], "{}")
		if strings.ContainsAny(filled[template[at[0]:at[1]]], strings.Map(punctuation, separators)) {
			return false
		}
	}
	return true
}

// Defect says what is wrong with a server's login and its secrets, without a connection to it; nil: nothing is.
func (s Server) Defect() error {
	if s.Address == "" {
		return nil
	}
	if err := checkTemplate(s.template()); err != nil {
		return fmt.Errorf("login: %w", err)
	}
	if s.Graph {
		if err := checkURL(s.Address); err != nil {
			return fmt.Errorf("address: %w", err)
		}
		return s.Token.defect()
	}
	if s.Auth == AuthLogin || s.Auth == AuthPlain {
		_, err := s.password()
		return err
	}
	return s.Token.defect()
}

// checkTemplate says what is wrong with a login template.
func checkTemplate(template string) error {
	user := false
	for _, p := range placeholder.FindAllString(template, -1) {
		switch p {
		case "{address}", "{local}":
			user = true
		case "{domain}", "{master}":
		default:
			return fmt.Errorf("unknown placeholder %s: use {address}, {local}, {domain}, {master}", p)
		}
	}
	if !user {
		return errors.New("must contain {address} or {local}: each recipient has a mailbox of their own")
	}
	return nil
}

// punctuation keeps what is neither a letter nor a digit.
func punctuation(c rune) rune {
	if unicode.IsLetter(c) || unicode.IsDigit(c) {
		return -1
	}
	return c
}

func split(address string) (local, domain string) {
	at := strings.LastIndexByte(address, '@')
	if at < 0 {
		return address, ""
	}
	return address[:at], address[at+1:]
}

// login logs in to the user's mailbox.
func (o *box) login() error {
	name := o.s.s.name(o.user)
	enter, secret, err := o.way(name)
	if err != nil {
		return err
	}
	if err := o.do(enter); err != nil {
		if said := new(imap.Error); errors.As(err, &said) && said.Code != imap.ResponseCodeUnavailable && !throttled(said) {
			return fmt.Errorf("%w as %s (%s): %s, or the mailbox does not exist", ErrLogin, name,
				sanitize.ServerReply(said.Text), secret)
		}
		return err
	}
	if o.caps, _ = await(o, func() (imap.CapSet, error) { return o.Caps(), nil }); o.caps == nil {
		return errors.New("the IMAP server does not say what it can")
	}
	return nil
}

// way is the command that logs in, and what the administrator checks when it is refused.
func (o *box) way(name string) (enter func() error, secret string, err error) {
	s := o.s.s
	switch s.Auth {
	case AuthXOAUTH2, AuthOAuthBearer:
		token, kept, err := o.s.tokens.get(o.ctx, o.user)
		if err != nil {
			return nil, "", err
		}
		o.kept = kept
		var client sasl.Client = xoauth2{name, token}
		if s.Auth == AuthOAuthBearer {
			host, port, _ := net.SplitHostPort(s.Address)
			n, _ := strconv.Atoi(port)
			client = sasl.NewOAuthBearerClient(&sasl.OAuthBearerOptions{Username: name, Token: token, Host: host, Port: n})
		}
		return func() error { return o.Authenticate(client) }, "the server does not accept the access token for it", nil
	}
	password, err := s.password()
	if err != nil {
		return nil, "", err
	}
	secret = fmt.Sprintf("the password in %s is wrong, %s is not a master user", s.PasswordFile, s.MasterUser)
	if s.Auth == AuthPlain {
		return func() error { return o.Authenticate(sasl.NewPlainClient(name, s.MasterUser, password)) }, secret, nil
	}
	return func() error { return o.Login(name, password).Wait() }, secret, nil
}

// password reads the password file; its last line end is not part of the password.
func (s Server) password() (string, error) { return readLine(s.PasswordFile) }

// readLine reads a file with one secret.
func readLine(path string) (string, error) {
	text, err := file.ReadSecret(path)
	if err != nil {
		return "", err
	}
	secret := strings.TrimRight(string(text), "\r\n")
	if secret == "" {
		return "", fmt.Errorf("%s is empty", path)
	}
	return secret, nil
}

// xoauth2 logs in with a user's name and an access token.
// Source: https://developers.google.com/workspace/gmail/imap/xoauth2-protocol
type xoauth2 struct{ user, token string }

// Start returns the mechanism and its only message.
func (x xoauth2) Start() (mechanism string, initial []byte, err error) {
	return "XOAUTH2", []byte("user=" + x.user + "\x01auth=Bearer " + x.token + "\x01\x01"), nil
}

// Next answers the server's description of a refusal: with nothing, and then the server refuses.
func (x xoauth2) Next([]byte) ([]byte, error) { return []byte{}, nil }
