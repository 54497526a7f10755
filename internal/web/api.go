package web

import (
	_ "embed"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	strictjson "github.com/go-json-experiment/json"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/choice"
	"github.com/recall-milter/recall-milter/internal/config"
	"github.com/recall-milter/recall-milter/internal/holdjson"
	"github.com/recall-milter/recall-milter/internal/sanitize"
)

//go:embed openapi.json
var openAPI []byte

// api adds the API, version 1; openapi.json describes it.
func (s *Server) api(mux *http.ServeMux) {
	mux.HandleFunc("GET /api/v1/openapi.json", s.describe)
	mux.HandleFunc("GET /api/v1/me", s.asked(s.apiMe))
	mux.HandleFunc("PUT /api/v1/me", s.asked(s.apiChoose))
	mux.HandleFunc("GET /api/v1/holds", s.asked(s.apiHolds, searchParameters...))
	mux.HandleFunc("GET /api/v1/events", s.asked(s.apiEvents))
	mux.HandleFunc("GET /api/v1/holds/{id}", s.asked(s.apiHold))
	mux.HandleFunc("GET /api/v1/holds/{id}/message", s.asked(s.apiMessage))
	mux.HandleFunc("POST /api/v1/holds/{id}/recall", s.asked(s.apiRecall))
	mux.HandleFunc("POST /api/v1/holds/{id}/release", s.asked(s.apiRelease))
	mux.HandleFunc("POST /api/v1/holds/{id}/extend", s.asked(s.apiExtend))
	mux.HandleFunc("POST /api/v1/holds/{id}/restore", s.asked(s.apiRestore))
	mux.HandleFunc("POST /api/v1/test", s.asked(s.apiTest))
	s.clawAPI(mux)
	mux.HandleFunc("/api/", func(w http.ResponseWriter, r *http.Request) { s.fail(w, r, unknownPath()) })
}

func (s *Server) describe(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write([]byte(strings.Replace(string(openAPI), "https://recall.corp.test", s.o.BaseURL, 1)))
}

// operation does what a request to the API asks for, and returns the answer.
type operation func(r *http.Request, c *caller) (any, error)

// asked makes a handler of an operation for callers who have proven who they are; parameters are those of its query.
func (s *Server) asked(do operation, parameters ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c, err := s.caller(r)
		if err == nil && c.nobody() {
			err = unauthorized("send a token: Authorization: Bearer TOKEN")
		}
		if err == nil {
			err = checkQuery(r.URL.Query(), parameters...)
		}
		var answer any
		if err == nil {
			answer, err = do(r, c)
		}
		switch to, direct := answer.(http.Handler); {
		case err != nil:
			s.fail(w, r, err)
		case direct:
			to.ServeHTTP(w, r)
		default:
			w.Header().Set("Content-Type", "application/json")
			s.encode(w, answer)
		}
	}
}

// me is who the caller is to us.
type me struct {
	Login     string   `json:"login"`
	Addresses []string `json:"addresses"`
	Operator  bool     `json:"operator"`
	Token     string   `json:"token,omitempty"` // its name
	Scope     string   `json:"scope,omitempty"` // of the token

	Grace      string   `json:"grace,omitempty"`       // that they have chosen; empty: none
	GraceRange []string `json:"grace_range,omitempty"` // in which they may choose: least, most
}

func (s *Server) apiMe(r *http.Request, c *caller) (any, error) {
	out := me{Login: c.Login, Addresses: append([]string{}, c.Addresses...), Operator: c.Operator}
	if c.token != nil {
		out.Token, out.Scope = c.token.Name, c.token.Scope
	}
	if !s.mayChoose(c) {
		return out, nil
	}
	out.GraceRange = []string{s.o.OwnGrace.Least.String(), s.o.OwnGrace.Most.String()}
	own, err := s.store.ChosenGrace(r.Context(), choice.Names(c.Login, c.Addresses...)...)
	if own != nil {
		out.Grace = own.String()
	}
	return out, err
}

// listed is a page of a list.
type listed struct {
	Holds   []holdjson.Hold `json:"holds"`
	Next    string          `json:"next"`              // the cursor of the next page; empty: this is the last
	Missing string          `json:"missing,omitempty"` // why there may be more
}

func (s *Server) apiHolds(r *http.Request, c *caller) (any, error) {
	q, err := readSearch(r.URL.Query(), s.now())
	if err != nil {
		return nil, err
	}
	p, err := s.list(r.Context(), c, q)
	if err != nil {
		return nil, err
	}
	out := listed{Holds: []holdjson.Hold{}, Missing: p.missing}
	for _, h := range p.holds {
		out.Holds = append(out.Holds, s.json(h))
	}
	if p.more {
		out.Next = placeOf(p.holds[len(p.holds)-1]).String()
	}
	return out, nil
}

const (
	limitDefault = 50
	limitMost    = 500
)

// searchParameters are those of a list.
var searchParameters = []string{"login", "sender", "recipient", "client", "message_id", "queue_id", "subject",
	"state...", "since", "until", "limit", "cursor"}

// checkQuery refuses a parameter that an operation does not know: the answer would not be to what was asked. Only those
// whose name ends with "..." may come more than once.
func checkQuery(values url.Values, known ...string) error {
	for name, all := range values {
		many := slices.Contains(known, name+"...")
		switch {
		case !many && !slices.Contains(known, name):
			return invalid(http.StatusBadRequest, "unknown parameter "+strconv.Quote(name))
		case !many && len(all) > 1, slices.ContainsFunc(all, func(value string) bool {
			return len(value) > 1000 || !utf8.ValidString(value)
		}):
			return wrongValue(name)
		}
	}
	return nil
}

func wrongValue(name string) error {
	return invalid(http.StatusBadRequest, "the value of "+name+" is not valid")
}

// readSearch reads the parameters of a list, which checkQuery has passed.
func readSearch(values url.Values, now time.Time) (q search, err error) {
	q.limit, q.States = limitDefault, waiting
	texts := map[string]*string{"login": &q.Login, "sender": &q.Sender, "recipient": &q.Recipient, "subject": &q.Subject,
		"message_id": &q.MessageID, "queue_id": &q.queueID, "client": &q.Client}
	for name, all := range values {
		value := all[0]
		var wrong bool
		switch to := texts[name]; {
		case to != nil:
			*to, wrong = value, value == ""
		case name == "state":
			q.States, wrong = readStates(all)
		case name == "since":
			q.Since, wrong = readMoment(value, now)
		case name == "until":
			q.Until, wrong = readMoment(value, now)
		case name == "limit":
			q.limit, err = strconv.Atoi(value)
			wrong = err != nil || q.limit < 1 || q.limit > limitMost
		case name == "cursor":
			var ok bool
			q.after, ok = readPlace(value)
			wrong = !ok
		}
		if wrong {
			return q, wrongValue(name)
		}
	}
	return q, nil
}

func readStates(words []string) (states []holdstore.State, wrong bool) {
	for _, name := range strings.Split(strings.Join(words, ","), ",") {
		state := holdstore.State(name)
		if name == "all" {
			return anyStates, false
		}
		if !slices.Contains(anyStates, state) {
			return nil, true
		}
		states = append(states, state)
	}
	return states, false
}

// readMoment reads RFC 3339, or how long ago, like 90m or 5d.
func readMoment(text string, now time.Time) (at time.Time, wrong bool) {
	if ago, err := config.ParseDuration(text); err == nil {
		return now.Add(-ago), false
	}
	at, err := time.Parse(time.RFC3339, text)
	return at, err != nil
}

// changed is a hold after an act; of a recall for some, with the addresses that did not get the message.
type changed struct {
	holdjson.Hold
	Outcome  string    `json:"outcome,omitempty"` // of a recall: recalled, partly, too-late
	Missing  []string  `json:"missing,omitempty"`
	AnswerBy time.Time `json:"answer_by,omitzero"` // until when other gateways may answer
}

func (s *Server) apiHold(r *http.Request, c *caller) (any, error) {
	h, err := s.one(r.Context(), c, r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	out := holdjson.Details{Hold: s.json(h), Attempts: h.Attempts, Timeline: h.Timeline}
	if s.o.Preview {
		header, err := s.store.Header(r.Context(), h)
		if errors.Is(err, holdstore.ErrUnavailable) {
			return nil, err
		}
		out.Header = strings.ToValidUTF8(string(header), "\uFFFD") // empty: not kept any more, or its key is not here
	}
	return out, nil
}

func (s *Server) apiRecall(r *http.Request, c *caller) (any, error) {
	var w wish
	if err := readBody(r, &w); err != nil {
		return nil, err
	}
	if w.Only != nil && (len(w.Only) == 0 || len(w.Only) > 1000) {
		return nil, invalid(http.StatusUnprocessableEntity, "only must name 1 to 1000 addresses; leave it out for all")
	}
	if len(w.Reason) > reasonMost {
		return nil, errReason
	}
	out, err := s.recall(r.Context(), c, r.PathValue("id"), w)
	if err != nil {
		return nil, err
	}
	return changed{s.json(out.Hold), out.Kind, out.Missing, out.AnswerBy}, nil
}

// reasonMost bounds a reason, in bytes.
const reasonMost = 1000

var errReason = invalid(http.StatusUnprocessableEntity, "the reason has more than 1000 bytes")

// told is the body of acts that need no more than a reason.
type told struct {
	Reason string `json:"reason"`
}

// acting reads a reason, and does an act.
func (s *Server) acting(r *http.Request, do func(id, reason string) (*holdstore.Hold, error)) (any, error) {
	var t told
	if err := readBody(r, &t); err != nil {
		return nil, err
	}
	if len(t.Reason) > reasonMost {
		return nil, errReason
	}
	h, err := do(r.PathValue("id"), t.Reason)
	if err != nil {
		return nil, err
	}
	return changed{Hold: s.json(h)}, nil
}

func (s *Server) apiRelease(r *http.Request, c *caller) (any, error) {
	return s.acting(r, func(id, why string) (*holdstore.Hold, error) { return s.release(r.Context(), c, id, why) })
}

func (s *Server) apiRestore(r *http.Request, c *caller) (any, error) {
	return s.acting(r, func(id, why string) (*holdstore.Hold, error) { return s.restore(r.Context(), c, id, why) })
}

func (s *Server) apiExtend(r *http.Request, c *caller) (any, error) {
	var t struct {
		told
		For string `json:"for"`
	}
	if err := readBody(r, &t); err != nil {
		return nil, err
	}
	longer, err := config.ParseDuration(t.For)
	if err != nil || longer <= 0 {
		return nil, invalid(http.StatusUnprocessableEntity, `for must say how much longer, like "10m"`)
	}
	if len(t.Reason) > reasonMost {
		return nil, errReason
	}
	h, err := s.extend(r.Context(), c, r.PathValue("id"), longer, t.Reason)
	if err != nil {
		return nil, err
	}
	return changed{Hold: s.json(h)}, nil
}

// readBody reads one JSON object; an empty body is an empty object.
func readBody(r *http.Request, to any) error {
	text, err := io.ReadAll(r.Body)
	if err != nil {
		return asProblemOfBody(err)
	}
	if len(text) == 0 {
		return nil
	}
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return invalid(http.StatusUnsupportedMediaType, "the body must be application/json")
	}
	if !utf8.Valid(text) {
		return invalid(http.StatusBadRequest, "the body is not UTF-8")
	}
	// Names in another case, twice, or unknown are refused: no two programs may read a request in two ways.
	err = strictjson.Unmarshal(text, to, strictjson.RejectUnknownMembers(true))
	if err != nil {
		return invalid(http.StatusBadRequest, "the body is not the JSON object that this operation takes: "+
			sanitize.ServerReply(faultOfJSON(err)))
	}
	return nil
}

// faultOfJSON says what is wrong in a body, and where, in the words of JSON: our types are nothing to a client.
func faultOfJSON(err error) string {
	var e *strictjson.SemanticError
	switch {
	case !errors.As(err, &e):
		return strings.TrimPrefix(err.Error(), "jsontext: ")
	case errors.Is(e.Err, strictjson.ErrUnknownName):
		return "unknown name " + strconv.Quote(e.JSONPointer.LastToken())
	case e.JSONPointer == "":
		return "it has the wrong type"
	}
	return "the value at " + string(e.JSONPointer) + " has the wrong type"
}

func asProblemOfBody(err error) error {
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return err
	}
	return invalid(http.StatusBadRequest, "the body can't be read")
}

// apiMessage returns the message itself.
func (s *Server) apiMessage(r *http.Request, c *caller) (any, error) {
	h, err := s.one(r.Context(), c, r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	if !s.o.Preview {
		return nil, forbidden("the content of mail is not shown here: preview is off")
	}
	if _, err := s.store.Header(r.Context(), h); err != nil {
		if errors.Is(err, holdstore.ErrUnavailable) {
			return nil, err
		}
		return nil, invalid(http.StatusNotFound, "the content of this message is not kept any more, or can't be opened here")
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "message/rfc822")
		w.Header().Set("Content-Disposition", `attachment; filename="`+h.ID+`.eml"`)
		w.Header().Set("Content-Length", strconv.FormatInt(h.Size, 10))
		if _, err := io.Copy(w, s.store.Content(r.Context(), h)); err != nil {
			panic(http.ErrAbortHandler) // the length tells that it is not whole
		}
	}), nil
}
