package web

import (
	"net/http"
	"strings"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/recall"
)

// caller is whoever makes a request, and what they have proven.
type caller struct {
	recall.Person
	name    string // for the audit trail: "login anna", "<anna@corp.test>", "token crm for login anna"
	from    string // "page, 192.0.2.7"
	token   *Token // nil: a person
	session *session
	link    string // the signed link that the request came by; empty: none

	prove func(*http.Request) (*caller, error) // finds out anew who makes a request
}

// nobody is a caller who has proven nothing.
func (c *caller) nobody() bool {
	return c.Login == "" && len(c.Addresses) == 0 && c.Hold == "" && !c.Operator
}

// may says whether the caller has a scope. A person has what their authority gives them.
func (c *caller) may(scope string) bool {
	switch {
	case c.token != nil:
		return c.token.may(scope) && (scope != ScopeAdmin || c.Operator)
	case scope == ScopeAdmin:
		return c.Operator
	}
	return true
}

// act says in the audit trail who does something, from where and why.
func (c *caller) act(reason string) holdstore.Actor {
	return holdstore.Actor{By: c.name, From: c.from, Reason: reason, Operator: c.Operator}
}

// mayUndo says whether somebody may undo the recall of a message: an operator may have stopped it for a reason that
// its sender doesn't know. The store decides again.
func (c *caller) mayUndo(h *holdstore.Hold) bool { return c.Operator || !h.Stopped }

// caller finds out who makes a request. One who has proven nothing is not an error; a proof that is wrong is one.
func (s *Server) caller(r *http.Request) (*caller, error) {
	c := &caller{from: "page, " + s.client(r).String(), prove: s.caller}
	if isAPI(r) {
		c.from = "API, " + s.client(r).String()
	}
	if token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok && isAPI(r) {
		return s.byToken(r, c, strings.TrimSpace(token))
	}
	if login := s.proxyLogin(r); login != "" {
		c.Login, c.name = login, "login "+holdstore.Fold(login)
	} else if err := s.bySession(r, c); err != nil {
		return nil, err
	}
	c.Operator = s.operates(c)
	return c, nil
}

// operates says whether today's config makes somebody an operator.
func (s *Server) operates(c *caller) bool {
	if c.session != nil && c.session.Operator != "" && s.o.Identity != nil &&
		c.session.Operator == s.o.Identity.OperatorClaim() {
		return true
	}
	return s.o.Operators.Names(append([]string{c.Login}, c.Addresses...)...)
}

// proxyLogin is who the reverse proxy in front says has signed in. Anybody can send such a header field; it counts
// only from a proxy that is listed, which must overwrite what browsers send.
func (s *Server) proxyLogin(r *http.Request) string {
	if s.o.Header == "" {
		return ""
	}
	all := r.Header.Values(s.o.Header)
	if _, proxied := s.peer(r.RemoteAddr); !proxied || len(all) != 1 {
		return ""
	}
	return strings.TrimSpace(all[0])
}

// onBehalfOf names the login for which a token acts.
const onBehalfOf = "Recall-On-Behalf-Of"

// byToken gives a token for the site all rights of its scope, and on behalf of somebody exactly those of that login.
func (s *Server) byToken(r *http.Request, c *caller, sent string) (*caller, error) {
	t, err := s.token(r.Context(), sent)
	if err != nil {
		return nil, s.wrong(r, "token", err)
	}
	c.token, c.name = &t, "token "+t.Name
	login := strings.TrimSpace(r.Header.Get(onBehalfOf))
	switch {
	case login == "" && len(t.For) > 0:
		return nil, forbidden("this token acts for others: name the login in " + onBehalfOf)
	case login == "":
		c.Operator = true
	case !t.actsFor(login):
		return nil, forbidden("this token does not act for that login")
	default:
		c.Login, c.name = login, c.name+" for login "+holdstore.Fold(login)
	}
	return c, nil
}

// wrongMost is how many wrong proofs one network may send in a minute before it hears that these are too many. One that
// is right is always taken: nobody can guess it, and others may be behind the same address.
const (
	wrongMost = 30
	wrongTime = time.Minute
)

// wrong counts a proof that is wrong, notes the first ones of a network in the audit trail, and returns what to answer.
func (s *Server) wrong(r *http.Request, what string, err error) error {
	if asProblem(err).Status >= http.StatusInternalServerError {
		return err
	}
	from := recall.ClientNetwork(s.client(r).String())
	n, failed := s.store.Count(r.Context(), wrongTime, holdstore.Tally{Name: "web wrong " + from, By: 1})
	if failed != nil {
		return failed
	}
	if n[0] == 1 || n[0] == wrongMost+1 {
		detail := "a " + what + " that is not valid"
		if n[0] > 1 {
			detail = "many of these: no more are noted within this minute"
		}
		by := holdstore.Actor{By: "somebody unknown", From: "page, " + from}
		if failed := s.store.Audit(r.Context(), "web refused", "", by, detail); failed != nil {
			return failed
		}
	}
	if n[0] > wrongMost {
		return tooMany(int(wrongTime.Seconds()))
	}
	return err
}
