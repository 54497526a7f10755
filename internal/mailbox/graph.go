package mailbox

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/recall-milter/recall-milter/internal/sanitize"
)

const maxGraph = 4 << 20 // bytes of one answer

// Graph is the way into the mailboxes of one organisation in Exchange Online, by Microsoft Graph.
// Source: https://learn.microsoft.com/graph/api/resources/message
type Graph struct {
	s      Server
	p      Policy
	tokens *tokens
	slots  slots
}

// Address is Backend.Address.
func (g *Graph) Address() string { return g.s.Address }

// Retract is Backend.Retract.
func (g *Graph) Retract(ctx context.Context, t Target, plan func(Result) error) (Result, error) {
	if defect := t.defect(g.s); defect != "" {
		return Result{Outcome: NotFound, Detail: defect}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, jobTime)
	defer cancel()
	if err := g.slots.enter(ctx); err != nil {
		return Result{}, err
	}
	defer g.slots.leave()
	r, err := (&graphBox{Graph: g, ctx: ctx, user: g.s.name(t.Recipient)}).take(t, plan)
	if said := new(graphError); errors.As(err, &said) {
		if outcome, final := said.outcome(); final {
			return outcome, nil
		}
	}
	if err != nil {
		return Result{}, fmt.Errorf("mailbox of <%s>: message %s stays for now: %w", t.Recipient, t.MessageID, err)
	}
	return r, nil
}

// Check is Backend.Check. That the application may write can't be seen without writing.
func (g *Graph) Check(ctx context.Context, user string) (Abilities, error) {
	ctx, cancel := context.WithTimeout(ctx, jobTime)
	defer cancel()
	if err := g.slots.enter(ctx); err != nil {
		return Abilities{}, err
	}
	defer g.slots.leave()
	box := &graphBox{Graph: g, ctx: ctx, user: g.s.name(user)}
	if user != "" {
		if _, err := box.folder("inbox"); err != nil {
			return Abilities{}, err
		}
		return Abilities{Delete: true, Move: true, Watch: true}, nil
	}
	err := box.call(http.MethodGet, g.s.Address+"/", nil, nil)
	if said := new(graphError); errors.As(err, &said) && !errors.Is(err, ErrLogin) && said.status < 500 {
		return Abilities{}, nil // it answers, and that was the question
	}
	return Abilities{}, err
}

// graphBox is one user's mailbox.
type graphBox struct {
	*Graph
	ctx  context.Context
	user string // whose mailbox: a userPrincipalName or an ID
}

// at is the URL of something in the mailbox. Every part of its path is escaped.
func (o *graphBox) at(query url.Values, path ...string) string {
	whole := o.s.Address + "/users/" + url.PathEscape(o.user)
	for _, part := range path {
		whole += "/" + url.PathEscape(part)
	}
	if len(query) > 0 {
		whole += "?" + query.Encode()
	}
	return whole
}

// call asks Graph, and reads a good answer. A token that was kept, and that Graph refuses, is got once more.
func (o *graphBox) call(method, at string, ask, answer any) error {
	for {
		token, kept, err := o.tokens.get(o.ctx, o.user)
		if err != nil {
			return err
		}
		err = o.once(method, at, token, ask, answer)
		if said := new(graphError); kept && errors.As(err, &said) && said.status == http.StatusUnauthorized {
			o.tokens.forget(o.user)
			continue
		}
		return err
	}
}

func (o *graphBox) once(method, at, token string, ask, answer any) error {
	var body []byte
	if ask != nil {
		var err error
		if body, err = json.Marshal(ask); err != nil {
			return err
		}
	}
	q, err := http.NewRequestWithContext(o.ctx, method, at, bytes.NewReader(body))
	if err != nil {
		return err
	}
	q.Header.Set("Authorization", "Bearer "+token)
	q.Header.Set("Prefer", `IdType="ImmutableId"`) // an ID stays when its message moves
	q.Header.Set("Accept", "application/json")
	if ask != nil {
		q.Header.Set("Content-Type", "application/json")
	}
	r, err := noRedirects.Do(q)
	if err != nil {
		return err
	}
	defer r.Body.Close()
	text, err := io.ReadAll(io.LimitReader(r.Body, maxGraph+1))
	switch {
	case err != nil:
		return err
	case r.StatusCode/100 != 2:
		return newGraphError(r, text)
	case len(text) > maxGraph:
		return fmt.Errorf("the answer of Graph has more than %d bytes", maxGraph)
	case answer == nil || r.StatusCode == http.StatusNoContent:
		return nil
	}
	if err := json.Unmarshal(text, answer); err != nil {
		return fmt.Errorf("the answer of Graph can't be read: %w", err)
	}
	return nil
}

// graphError is an answer that is not good.
// Source: https://learn.microsoft.com/graph/errors
type graphError struct {
	status     int
	code, text string
	wait       time.Duration // that Graph asks for; 0: none
}

func newGraphError(r *http.Response, body []byte) *graphError {
	var said struct {
		Error struct{ Code, Message string }
	}
	_ = json.Unmarshal(body, &said) // a proxy's answer has its status only
	e := &graphError{status: r.StatusCode, code: sanitize.ServerReply(said.Error.Code),
		text: sanitize.ServerReply(said.Error.Message)}
	after := r.Header.Get("Retry-After") // RFC 9110 section 10.2.3
	if seconds, err := strconv.Atoi(after); err == nil && seconds > 0 {
		e.wait = min(time.Duration(min(seconds, 1<<20))*time.Second, longestWait)
	} else if at, err := http.ParseTime(after); err == nil {
		e.wait = max(0, time.Until(at))
	}
	return e
}

func (e *graphError) Error() string {
	return strings.TrimSpace(fmt.Sprintf("Graph answered %d %s %s", e.status, e.code, e.text))
}

// Unwrap is ErrLogin where the administrator has to give a permission.
func (e *graphError) Unwrap() error {
	if e.status == http.StatusUnauthorized || e.status == http.StatusForbidden {
		return ErrLogin
	}
	return nil
}

// gone says whether what was named is not there (any more).
func (e *graphError) gone() bool {
	return e.status == http.StatusNotFound && e.code == "ErrorItemNotFound"
}

// noMailbox are the codes for a user that Graph does not know.
var noMailbox = []string{"ErrorInvalidUser", "ErrorNonExistentMailbox", "Request_ResourceNotFound", "ResourceNotFound"}

// outcome is what an answer means for good; final is false when a later try may bring another one.
func (e *graphError) outcome() (r Result, final bool) {
	switch {
	case slices.Contains(noMailbox, e.code):
		return Result{Outcome: NotFound, Detail: "the server has no mailbox of this name"}, true
	case e.code == "MailboxNotEnabledForRESTAPI":
		return Result{Outcome: Refused, Detail: "the mailbox is not in Exchange Online, or it has no license"}, true
	case e.status == http.StatusBadRequest || e.status == http.StatusMethodNotAllowed:
		return Result{Outcome: Refused, Detail: strings.TrimSpace("the mail server refuses the request " + e.code)}, true
	}
	return Result{}, false
}
