package web

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"golang.org/x/oauth2"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/identity"
	"github.com/recall-milter/recall-milter/internal/mark"
)

// Paths at an identity provider's side: they are entered there.
const (
	OIDCCallback = "/sign-in/oidc/callback" // where it sends browsers back
	OIDCLogout   = "/sign-out/oidc"         // where it tells who has signed out (back-channel logout)
	SignedOut    = "/sign-in?did=signed-out"
)

// oidc adds the sign-in at an identity provider.
func (s *Server) oidc(mux *http.ServeMux) {
	if s.o.Identity == nil {
		return
	}
	mux.HandleFunc("GET /sign-in/oidc", s.oidcBegin)
	mux.HandleFunc("GET "+OIDCCallback, s.oidcBack)
	mux.HandleFunc("POST "+OIDCLogout, s.oidcSignedOut)
}

// attemptTime is how long somebody may take to sign in at their provider.
const attemptTime = 15 * time.Minute

func (s *Server) attemptCookie() string { return s.cookieName() + "-sign-in" }

// oidcBegin sends a browser to the provider. Only the browser remembers that it has begun.
func (s *Server) oidcBegin(w http.ResponseWriter, r *http.Request) {
	a := identity.Attempt{State: rand.Text(), Nonce: rand.Text(), Verifier: oauth2.GenerateVerifier(),
		Ends: s.now().Add(attemptTime)}
	asked := time.Now()
	address, err := s.o.Identity.Begin(r.Context(), a)
	s.provider(asked, false, err)
	if err != nil {
		s.fail(w, r, signInAway(err))
		return
	}
	body, _ := json.Marshal(a)
	signed, ok := s.marker.Sign(mark.Attempt, base64.RawURLEncoding.EncodeToString(body))
	if !ok {
		s.fail(w, r, holdstore.ErrUnavailable)
		return
	}
	s.setCookie(w, s.attemptCookie(), signed, int(attemptTime.Seconds()))
	http.Redirect(w, r, address, http.StatusSeeOther)
}

// oidcBack signs in a browser that comes back from the provider. This GET begins a session, and only for the browser
// that has begun the sign-in a moment ago: whatever else opens the address has no cookie, and is refused.
func (s *Server) oidcBack(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	a, ok := s.attempt(r)
	same := ok && subtle.ConstantTimeCompare([]byte(a.State), []byte(q.Get("state"))) == 1
	if issuer := q.Get("iss"); issuer != "" && issuer != s.o.Identity.Issuer() { // RFC 9207
		same = false
	}
	if !same {
		s.fail(w, r, s.wrong(r, "sign-in of an identity provider", signInRefused()))
		return
	}
	s.setCookie(w, s.attemptCookie(), "", -1)
	code := q.Get("code")
	if code == "" { // the person has refused, or may not use this page
		s.fail(w, r, signInRefused())
		return
	}
	p, err := s.proven(r.Context(), a, code)
	if err != nil {
		s.refuseSignIn(w, r, err)
		return
	}
	n := session{Way: s.byProvider(), Login: p.Login, Addresses: p.Addresses, Subject: p.Subject, There: p.Session,
		At: p.At}
	if p.Operator {
		n.Operator = s.o.Identity.OperatorClaim()
	}
	by := holdstore.Actor{By: n.name(), From: "page, " + s.client(r).String()}
	if err := s.store.Audit(r.Context(), "sign-in", "", by, "at "+s.o.Identity.Issuer()); err != nil {
		s.fail(w, r, err)
		return
	}
	s.begin(w, n)
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

// attempt is the sign-in that a browser has begun.
func (s *Server) attempt(r *http.Request) (a identity.Attempt, ok bool) {
	cookie, err := r.Cookie(s.attemptCookie())
	if err != nil {
		return a, false
	}
	text, ok := s.marker.Signed(mark.Attempt, cookie.Value)
	if !ok {
		return a, false
	}
	body, err := base64.RawURLEncoding.DecodeString(text)
	return a, err == nil && json.Unmarshal(body, &a) == nil && s.now().Before(a.Ends)
}

// proven asks the provider who somebody is, once for each attempt on all gateways.
func (s *Server) proven(ctx context.Context, a identity.Attempt, code string) (p identity.Person, err error) {
	first, err := s.store.FirstUse(ctx, "web attempt "+a.State, rand.Text(), attemptTime+time.Minute)
	if err != nil {
		return p, err
	}
	if !first {
		return p, identity.ErrRefused
	}
	asked := time.Now()
	p, err = s.o.Identity.Finish(ctx, a, code)
	s.provider(asked, err == nil || errors.Is(err, identity.ErrRefused) || errors.Is(err, identity.ErrNobody), err)
	return p, err
}

// refuseSignIn answers a sign-in that brought nothing, and says why in the log and the audit trail only.
func (s *Server) refuseSignIn(w http.ResponseWriter, r *http.Request, err error) {
	switch {
	case errors.Is(err, identity.ErrAway):
		err = signInAway(err)
	case errors.Is(err, identity.ErrRefused), errors.Is(err, identity.ErrNobody):
		s.log.Trouble("somebody could not sign in", err)
		err = s.wrong(r, "sign-in of an identity provider", signInRefused())
	}
	s.fail(w, r, err)
}

// oidcSignedOut ends the sessions of somebody who has signed out at the provider.
func (s *Server) oidcSignedOut(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		s.fail(w, r, asProblemOfBody(err))
		return
	}
	asked := time.Now()
	out, err := s.o.Identity.ReadSignedOut(r.Context(), r.PostForm.Get("logout_token"))
	s.provider(asked, false, err)
	if err == nil {
		err = s.endSignedOut(r.Context(), out)
	}
	if errors.Is(err, identity.ErrRefused) {
		err = s.wrong(r, "logout token", invalid(http.StatusBadRequest, "the logout token is not valid"))
	}
	if errors.Is(err, identity.ErrAway) {
		err = signInAway(err)
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	w.WriteHeader(http.StatusOK)
}

// endSignedOut ends the sessions that a logout token names and that began before it. So a token that comes again, since
// the first try failed or since somebody has kept it, ends nothing more.
func (s *Server) endSignedOut(ctx context.Context, out identity.SignedOut) error {
	name := thereName(out.Session)
	if out.Session == "" { // all sessions of this person
		name = subjectName(out.Subject)
	}
	if err := s.store.EndSessions(ctx, out.At, s.o.Session+time.Minute, name); err != nil {
		return err
	}
	return s.store.Audit(ctx, "sign-out", "", holdstore.Actor{By: s.o.Identity.Issuer(), From: "page"},
		"by the logout token of the identity provider")
}

// Names under which sessions end when somebody signs out at the provider.
func subjectName(subject string) string { return "subject " + subject }
func thereName(session string) string   { return "provider session " + session }

func signInRefused() *problem {
	return &problem{Type: "/sign-in", Title: "The sign-in was not accepted", Status: http.StatusForbidden}
}

// awayThere is the kind of problem of an identity provider that is away.
const awayThere = "sign-in-away"

func signInAway(why error) *problem {
	return &problem{Type: "/" + awayThere, Title: "The sign-in service can't be reached", After: 10,
		Status: http.StatusServiceUnavailable, Detail: why.Error()}
}
