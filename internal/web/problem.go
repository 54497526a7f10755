package web

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/holdjson"
)

// problem is an answer that is none: RFC 9457, and an error. Its kind ends its type.
type problem struct {
	Type   string         `json:"type"`
	Title  string         `json:"title"`
	Status int            `json:"status"`
	Detail string         `json:"detail,omitempty"`
	Hold   *holdjson.Hold `json:"hold,omitempty"` // of too-late and not-now: with each recipient's result
	After  int            `json:"-"`              // Retry-After in seconds
	hold   *holdstore.Hold
	text   string // what the page says of it, in each language; empty: of its kind
}

// Error says what is wrong.
func (p *problem) Error() string { return p.Detail }

// kind is the last part of the type.
func (p *problem) kind() string { return p.Type[strings.LastIndexByte(p.Type, '/')+1:] }

func notFound() *problem {
	return &problem{Type: "/not-found", Title: "Not found", Status: http.StatusNotFound,
		Detail: "there is no such message, or not for you"}
}

// unknownPath is for what no pattern of ours matches. Its kind is not that of a message that is not there: a program
// that asks at a wrong path must not take the message for gone.
func unknownPath() *problem {
	return &problem{Type: "/unknown-path", Title: "Unknown path", Status: http.StatusNotFound,
		Detail: "the path does not exist, or not with this method: /api/v1/openapi.json describes all of the API"}
}

func forbidden(why string) *problem {
	return &problem{Type: "/forbidden", Title: "Not allowed", Status: http.StatusForbidden, Detail: why}
}

// refused is forbidden by the rights to a message.
func refused(why string) *problem {
	p := forbidden(why)
	p.text = "did-refused"
	return p
}

func unauthorized(why string) *problem {
	return &problem{Type: "/unauthorized", Title: "Sign in first", Status: http.StatusUnauthorized, Detail: why}
}

func invalid(status int, why string) *problem {
	return &problem{Type: "/invalid", Title: "Invalid request", Status: status, Detail: why}
}

func tooLate(h *holdstore.Hold) *problem {
	return &problem{Type: "/too-late", Title: "Too late", Status: http.StatusConflict,
		Detail: "the message has left, or is being sent", hold: h, text: "did-too-late"}
}

func notNow(h *holdstore.Hold, why string) *problem {
	return &problem{Type: "/not-now", Title: "Not possible in this state", Status: http.StatusConflict, Detail: why,
		hold: h, text: "did-not-now"}
}

func tooMany(seconds int) *problem {
	return &problem{Type: "/rate", Title: "Too many requests", Status: http.StatusTooManyRequests,
		Detail: "try again later", After: seconds}
}

// asProblem says in HTTP what an error is. What the store says of itself is for the log, not for strangers.
func asProblem(err error) *problem {
	var p *problem
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &p):
		return p
	case errors.As(err, &large):
		return invalid(http.StatusRequestEntityTooLarge, "the request is too large")
	case errors.Is(err, holdstore.ErrNotFound):
		return notFound()
	case errors.Is(err, holdstore.ErrDamaged):
		return &problem{Type: "/damaged", Title: "Damaged", Status: http.StatusInternalServerError,
			Detail: "the record of this message can't be read, and nothing was done"}
	}
	return &problem{Type: "/store-away", Title: "The hold store can't be reached", Status: http.StatusServiceUnavailable,
		Detail: "nothing can be said of the message now, and whether the request was carried out is unknown: look again",
		After:  5}
}

// fail answers with a problem, as a page or as JSON.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	p := asProblem(err)
	if p.Status >= http.StatusInternalServerError && p.kind() != awayThere && !s.lost(r, err) {
		s.log.Trouble("the page could not answer", err)
	}
	if p.After > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(p.After))
	}
	if !isAPI(r) {
		s.failPage(w, r, p)
		return
	}
	if p.Status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Bearer realm="Recall Milter"`)
	}
	out := *p
	out.Type = s.o.BaseURL + "/problems" + p.Type
	s.translate(w, r, &out)
	if p.hold != nil {
		hold := s.json(p.hold)
		out.Hold = &hold
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.Status)
	s.encode(w, out)
}

// translate writes a problem in the language that the client asks for, as the page says it. Without Accept-Language,
// and in English, it stays as programmers read it.
func (s *Server) translate(w http.ResponseWriter, r *http.Request, p *problem) {
	w.Header().Add("Vary", "Accept-Language")
	asked := r.Header.Get("Accept-Language")
	lang := s.texts.Choose(asked)
	if asked == "" || lang == "en" {
		return
	}
	w.Header().Set("Content-Language", lang)
	key := "problem-" + p.kind()
	if p.text != "" {
		key = p.text
		p.Detail = s.texts.say(lang, key)
	}
	p.Title = s.texts.say(lang, key)
}

// encode writes JSON; the client may be gone, which is not our trouble.
func (s *Server) encode(w http.ResponseWriter, v any) {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(true)
	_ = e.Encode(v)
}

func isAPI(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, "/api/") }
