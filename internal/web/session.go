package web

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/mark"
)

// session is what the cookie of a browser says: signed, so that the store needs to know only those that were ended. It
// keeps what was proven, not what that allows: the config of each request decides that.
type session struct {
	ID        string    `json:"i"`
	Way       string    `json:"w"` // how they have signed in
	Login     string    `json:"l,omitempty"`
	Addresses []string  `json:"a,omitempty"`
	Operator  string    `json:"o,omitempty"` // the claim of operators that they meet
	Subject   string    `json:"u,omitempty"` // at the identity provider
	There     string    `json:"t,omitempty"` // ID of the session at the identity provider
	At        time.Time `json:"p,omitzero"`  // of the sign-in, by the provider's clock
	Made      time.Time `json:"m"`
	Ends      time.Time `json:"e"`
}

// name names a person in the audit trail.
func (n *session) name() string {
	if n.Login != "" {
		return "login " + holdstore.Fold(n.Login)
	}
	return "<" + holdstore.Fold(strings.Join(n.Addresses, ", ")) + ">"
}

// ending is a name under which sessions end, with when this one began by the clock that counts there.
type ending struct {
	name  string
	began time.Time
}

// endings are the names under which a session may have been ended.
func (n *session) endings() []ending {
	all := []ending{{"session " + n.ID, n.Made}}
	for _, name := range n.people() {
		all = append(all, ending{name, n.Made})
	}
	if n.Subject != "" {
		all = append(all, ending{subjectName(n.Subject), n.At})
	}
	if n.There != "" {
		all = append(all, ending{thereName(n.There), n.At})
	}
	return all
}

// people are the names under which all sessions of this person end: their login, and each of their addresses. A login
// that is an address is both.
func (n *session) people() (all []string) {
	if n.Login != "" {
		all = append(all, personName(n.Login))
	}
	for _, a := range n.Addresses {
		all = append(all, personName(a))
	}
	return all
}

func personName(loginOrAddress string) string { return "person " + holdstore.Fold(loginOrAddress) }

// The ways to sign in; that of an identity provider changes with what it is trusted for.
const byMail = "mail"

func (s *Server) byProvider() string { return holdstore.Digest(s.o.Identity.Trust()) }

// offers says whether people can sign in today as somebody did.
func (s *Server) offers(way string) bool {
	return way == byMail && s.o.LinkMail || s.o.Identity != nil && way == s.byProvider()
}

func (s *Server) cookieName() string {
	if s.secure {
		return "__Host-recall"
	}
	return "recall" // browsers keep __Host- cookies for HTTPS only
}

// begin begins a session; n says for whom.
func (s *Server) begin(w http.ResponseWriter, n session) bool {
	n.ID, n.Made, n.Ends = rand.Text(), s.now(), s.now().Add(s.o.Session)
	body, _ := json.Marshal(n)
	signed, ok := s.marker.Sign(mark.Session, base64.RawURLEncoding.EncodeToString(body))
	if ok {
		s.setCookie(w, s.cookieName(), signed, int(s.o.Session.Seconds()))
	}
	return ok
}

func (s *Server) setCookie(w http.ResponseWriter, name, value string, seconds int) {
	http.SetCookie(w, &http.Cookie{Name: name, Value: value, Path: "/", MaxAge: seconds, HttpOnly: true,
		Secure: s.secure, SameSite: http.SameSiteLaxMode})
}

// bySession fills in who a browser has signed in as. A session that has ended is none.
func (s *Server) bySession(r *http.Request, c *caller) error {
	n, ok := s.cookieSession(r)
	if !ok {
		return nil
	}
	all := n.endings()
	names := make([]string, len(all))
	for i, e := range all {
		names[i] = e.name
	}
	ended, err := s.store.SessionsEnded(r.Context(), names...)
	if err != nil {
		return err
	}
	for i, e := range all {
		if !ended[i].IsZero() && !e.began.After(ended[i]) {
			return nil
		}
	}
	c.signIn(n)
	return nil
}

func (c *caller) signIn(n *session) {
	c.session, c.name = n, n.name()
	c.Login, c.Addresses = n.Login, n.Addresses
}

// cookieSession reads the session of a browser. Whether it was ended is for the store to say.
func (s *Server) cookieSession(r *http.Request) (*session, bool) {
	cookie, err := r.Cookie(s.cookieName())
	if err != nil {
		return nil, false
	}
	text, ok := s.marker.Signed(mark.Session, cookie.Value)
	if !ok {
		return nil, false
	}
	body, err := base64.RawURLEncoding.DecodeString(text)
	n := &session{}
	if err != nil || json.Unmarshal(body, n) != nil || !s.offers(n.Way) {
		return nil, false
	}
	return n, s.now().Before(n.Ends) && s.now().Before(n.Made.Add(s.o.Session))
}

// end ends a session; everywhere, all sessions of that person, however they have signed in.
func (s *Server) end(ctx context.Context, n *session, everywhere bool) error {
	names := []string{"session " + n.ID}
	if everywhere {
		also, err := s.alsoKnownAs(ctx, n)
		if err != nil {
			return err
		}
		names = append(n.people(), also...)
	}
	return s.store.EndSessions(ctx, s.now(), s.o.Session+time.Minute, names...)
}

// knownBy is how many of the newest messages of a person are looked at for their other names.
const knownBy = 100

// alsoKnownAs are names of a person that their session does not have: the addresses from which their login has sent
// mail, and the logins with which mail was sent from their addresses.
func (s *Server) alsoKnownAs(ctx context.Context, n *session) (names []string, err error) {
	all := []holdstore.Whose{}
	if n.Login != "" {
		all = append(all, holdstore.Whose{Login: n.Login})
	}
	for _, a := range n.Addresses {
		all = append(all, holdstore.Whose{Sender: a, AnyLogin: true})
	}
	for _, who := range all {
		holds, err := s.store.Latest(ctx, who, knownBy, s.desk.OfOurs)
		if err != nil && !errors.Is(err, holdstore.ErrMany) && !errors.Is(err, holdstore.ErrPartial) {
			return nil, err
		}
		for _, h := range holds {
			for _, name := range []string{h.Login, h.Sender.Address} {
				if name != "" && !slices.Contains(names, personName(name)) {
					names = append(names, personName(name))
				}
			}
		}
	}
	return names, nil
}
