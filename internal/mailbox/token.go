package mailbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
	"golang.org/x/oauth2/jwt"

	"github.com/recall-milter/recall-milter/internal/file"
	"github.com/recall-milter/recall-milter/internal/sanitize"
)

// Token says where access tokens come from: one of its three sources.
type Token struct {
	URL, ClientID, ClientSecretFile string // client credentials (RFC 6749 section 4.4)
	ServiceAccountFile              string // a service account that acts for the recipient (RFC 7523)
	File                            string // a file with a token, which another program renews
	Scope                           string // with blanks between scopes
}

const (
	tokenTime = 20 * time.Second // for an answer of the token server
	maxTokens = 1000             // that are kept: a service account has one for each recipient
	maxToken  = 16 << 10         // bytes; the largest known have 4 KB
)

// defect says what is wrong with a source; nil: nothing that can be seen without asking it.
func (t Token) defect() (err error) {
	switch {
	case t.File != "":
		_, err = readLine(t.File)
	case t.ServiceAccountFile != "":
		_, err = readAccount(t.ServiceAccountFile)
	default:
		if err = checkURL(t.URL); err == nil {
			_, err = readLine(t.ClientSecretFile)
		}
	}
	return err
}

// noRedirects is a client for requests with secrets: they go to the server that was named, and no further.
var noRedirects = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error {
	return http.ErrUseLastResponse
}}

// tokens gets access tokens, and keeps them for as long as they are good.
type tokens struct {
	from Token
	mu   sync.Mutex
	kept map[string]*oauth2.Token // by the user for whom it is; "" for all users
}

// get returns an access token that opens a user's mailbox; kept: it was got for an earlier login. It is ErrLogin when
// the token server refuses.
func (k *tokens) get(ctx context.Context, user string) (token string, kept bool, err error) {
	if k.from.File != "" {
		token, err = readLine(k.from.File)
		return token, false, err
	}
	k.mu.Lock()
	t := k.kept[k.key(user)]
	k.mu.Unlock()
	if t.Valid() {
		return t.AccessToken, true, nil
	}
	if t, err = k.fetch(ctx, user); err != nil {
		return "", false, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.kept == nil || len(k.kept) >= maxTokens {
		k.kept = map[string]*oauth2.Token{}
	}
	k.kept[k.key(user)] = t
	return t.AccessToken, false, nil
}

// forget drops a token that the mail server has refused.
func (k *tokens) forget(user string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.kept, k.key(user))
}

func (k *tokens) key(user string) string {
	if k.from.ServiceAccountFile == "" {
		return ""
	}
	return user
}

func (k *tokens) fetch(ctx context.Context, user string) (*oauth2.Token, error) {
	source, err := k.source(user)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, tokenTime)
	defer cancel()
	ctx = context.WithValue(ctx, oauth2.HTTPClient, noRedirects)
	t, err := source(ctx)
	if err != nil {
		return nil, refusedToken(err)
	}
	unprintable := func(c rune) bool { return c <= ' ' || c > '~' }
	if len(t.AccessToken) > maxToken || strings.ContainsFunc(t.AccessToken, unprintable) {
		return nil, errors.New("the token server gave no usable access token")
	}
	return t, nil
}

// source is the request for a token. Secrets are read each time: they may be renewed.
func (k *tokens) source(user string) (func(context.Context) (*oauth2.Token, error), error) {
	if k.from.ServiceAccountFile != "" {
		a, err := readAccount(k.from.ServiceAccountFile)
		if err != nil {
			return nil, err
		}
		c := jwt.Config{Email: a.Email, PrivateKey: []byte(a.Key), PrivateKeyID: a.KeyID, TokenURL: a.TokenURL,
			Subject: user, Scopes: strings.Fields(k.from.Scope)}
		return func(ctx context.Context) (*oauth2.Token, error) { return c.TokenSource(ctx).Token() }, nil
	}
	if err := checkURL(k.from.URL); err != nil {
		return nil, err
	}
	secret, err := readLine(k.from.ClientSecretFile)
	if err != nil {
		return nil, err
	}
	c := clientcredentials.Config{ClientID: k.from.ClientID, ClientSecret: secret, TokenURL: k.from.URL,
		Scopes: strings.Fields(k.from.Scope)}
	return c.Token, nil
}

// account is a service account's key file, as Google gives it.
type account struct {
	Email    string `json:"client_email"`
	Key      string `json:"private_key"`
	KeyID    string `json:"private_key_id"`
	TokenURL string `json:"token_uri"`
}

func readAccount(path string) (a account, err error) {
	text, err := file.ReadSecret(path)
	if err != nil {
		return a, err
	}
	if json.Unmarshal(text, &a) != nil || a.Email == "" || a.Key == "" {
		return a, fmt.Errorf("%s is not the JSON key file of a service account", path)
	}
	if err := checkURL(a.TokenURL); err != nil {
		return a, fmt.Errorf("token_uri in %s: %w", path, err)
	}
	return a, nil
}

// checkURL takes https, and http on this machine.
func checkURL(text string) error {
	u, err := url.Parse(text)
	if err == nil && u.Host != "" && u.User == nil && (u.Scheme == "https" ||
		u.Scheme == "http" && (u.Hostname() == "127.0.0.1" || u.Hostname() == "::1" || u.Hostname() == "localhost")) {
		return nil
	}
	return fmt.Errorf("invalid URL %q: use a value like \"https://login.example/token\"; a secret crosses no network "+
		"unencrypted", text)
}

// refusedToken says why a token was not given, without what the server's answer may contain besides. A refusal is
// ErrLogin; what may pass (429, 5xx, no answer) is tried again.
func refusedToken(err error) error {
	said := new(oauth2.RetrieveError)
	if !errors.As(err, &said) || said.Response == nil {
		return fmt.Errorf("no access token: %w", err)
	}
	var why struct { // RFC 6749 section 5.2
		Code        string `json:"error"`
		Description string `json:"error_description"`
	}
	_ = json.Unmarshal(said.Body, &why) // an answer in another form has its status only
	code := said.Response.StatusCode
	err = fmt.Errorf("the token server answered %d %s", code,
		sanitize.ServerReply(strings.TrimSpace(why.Code+" "+why.Description)))
	if code >= 400 && code < 500 && code != http.StatusTooManyRequests && code != http.StatusRequestTimeout {
		return fmt.Errorf("%w: %w", ErrLogin, err)
	}
	return err
}
