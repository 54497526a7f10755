package web

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/mark"
)

const wrongTime = time.Minute

// session is what the cookie of a browser says: signed, so that the store needs to know only those that were ended.
type session struct {
	ID        string    `json:"i"`
	Login     string    `json:"l,omitempty"`
	Addresses []string  `json:"a,omitempty"`
	Operator  bool      `json:"o,omitempty"` // an identity provider says so
	Subject   string    `json:"u,omitempty"` // at the identity provider
	There     string    `json:"t,omitempty"` // ID of the session at the identity provider
	Made      time.Time `json:"m"`
	Ends      time.Time `json:"e"`
}

// name names a person in the audit trail, and is what ends all their sessions.
func (n *session) name() string {
	if n.Login != "" {
		return "login " + holdstore.Fold(n.Login)
	}
	return "<" + holdstore.Fold(strings.Join(n.Addresses, ", ")) + ">"
}

// endings are the names under which a session may have been ended.
func (n *session) endings() []string {
	all := []string{"session " + n.ID, "person " + n.name()}
	if n.Subject != "" {
		all = append(all, subjectName(n.Subject))
	}
	if n.There != "" {
		all = append(all, thereName(n.There))
	}
	return all
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
	cookie, err := r.Cookie(s.cookieName())
	if err != nil {
		return nil //nolint:nilerror // without a cookie nobody is signed in
	}
	n, ok := s.readSession(cookie.Value)
	if !ok {
		return nil
	}
	for _, name := range n.endings() {
		ended, err := s.store.SessionsEnded(r.Context(), name)
		if err != nil {
			return err
		}
		if !ended.IsZero() && !n.Made.After(ended) {
			return nil
		}
	}
	c.session, c.name = n, n.name()
	c.Login, c.Addresses = n.Login, n.Addresses
	return nil
}

func (s *Server) readSession(cookie string) (*session, bool) {
	text, ok := s.marker.Signed(mark.Session, cookie)
	if !ok {
		return nil, false
	}
	body, err := base64.RawURLEncoding.DecodeString(text)
	n := &session{}
	if err != nil || json.Unmarshal(body, n) != nil || !s.now().Before(n.Ends) {
		return nil, false
	}
	return n, true
}

// end ends a session; everywhere, all of that person's.
func (s *Server) end(ctx context.Context, n *session, everywhere bool) error {
	name := "session " + n.ID
	if everywhere {
		name = "person " + n.name()
	}
	return s.store.EndSessions(ctx, name, s.o.Session+time.Minute)
}
