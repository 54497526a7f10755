package web_test

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"
	"github.com/pb33f/libopenapi-validator/config"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/web"
)

// program is a client of the API, all of whose answers are held against the document that the page serves.
type program struct {
	h     *house
	check validator.Validator
	want  map[string]bool // "GET /api/v1/me 200", of the document
	seen  map[string]bool
}

func (h *house) program() *program {
	h.t.Helper()
	_, text, _ := h.guest().ask("GET", "/api/v1/openapi.json", "")
	document, err := libopenapi.NewDocument([]byte(text))
	if err != nil {
		h.t.Fatal(err)
	}
	check, errs := validator.NewValidator(document, config.WithStrictMode(), config.WithFormatAssertions())
	if len(errs) > 0 {
		h.t.Fatal(errs)
	}
	if ok, errs := check.ValidateDocument(); !ok {
		h.t.Fatalf("the document: %v", errs)
	}
	p := &program{h, check, map[string]bool{}, map[string]bool{}}
	model, err := document.BuildV3Model()
	if err != nil {
		h.t.Fatal(err)
	}
	for path, item := range model.Model.Paths.PathItems.FromOldest() {
		for method, operation := range item.GetOperations().FromOldest() {
			for code := range operation.Responses.Codes.FromOldest() {
				p.want[strings.ToUpper(method)+" "+path+" "+code] = true
			}
		}
	}
	return p
}

// call is one request.
type call struct {
	method, path, token, login, body, kind string
	header                                 map[string]string
}

// do makes a request and returns the status and the body of its answer, of a stream the first event.
func (p *program) do(c call) (int, string) {
	p.h.t.Helper()
	r, err := http.NewRequestWithContext(p.h.t.Context(), c.method, p.h.url+"/api/v1"+c.path, strings.NewReader(c.body))
	if err != nil {
		p.h.t.Fatal(err)
	}
	if c.token != "" {
		r.Header.Set("Authorization", "Bearer "+c.token)
	}
	if c.login != "" {
		r.Header.Set("Recall-On-Behalf-Of", c.login)
	}
	if c.kind == "" {
		c.kind = "application/json"
	}
	if c.method == "POST" || c.method == "PUT" {
		r.Header.Set("Content-Type", c.kind)
	}
	for name, value := range c.header {
		r.Header.Set(name, value)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		p.h.t.Fatal(err)
	}
	defer answer.Body.Close()
	var text []byte
	if strings.HasPrefix(answer.Header.Get("Content-Type"), "text/event-stream") {
		buffer := make([]byte, 1000)
		n, _ := answer.Body.Read(buffer)
		text = buffer[:n]
	} else {
		text, _ = io.ReadAll(answer.Body)
	}
	told := &http.Response{StatusCode: answer.StatusCode, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(text))}
	for _, name := range []string{"Content-Type", "Retry-After"} { // the others are the same for all pages
		if value := answer.Header.Get(name); value != "" {
			told.Header.Set(name, value)
		}
	}
	if ok, errs := p.check.ValidateHttpResponse(r, told); !ok {
		for _, e := range errs {
			p.h.t.Errorf("%s %s: %d %s: %s %v\n%s", c.method, c.path, answer.StatusCode, e.Message, e.Reason,
				e.SchemaValidationErrors, text)
		}
	}
	parts := strings.Split(c.path, "?")
	path := "/api/v1" + parts[0]
	if segments := strings.Split(parts[0], "/"); len(segments) > 2 && segments[1] == "holds" {
		segments[2] = "{id}"
		path = "/api/v1" + strings.Join(segments, "/")
	}
	p.seen[fmt.Sprintf("%s %s %d", c.method, path, answer.StatusCode)] = true
	return answer.StatusCode, string(text)
}

// token makes an API token.
func (h *house) token(name, scope string, logins ...string) string {
	h.t.Helper()
	token, err := web.NewToken(h.t.Context(), h.store, h.marker, web.Token{Name: name, Scope: scope, For: logins,
		Made: time.Now()})
	if err != nil {
		h.t.Fatal(err)
	}
	return token
}

// operation is one operation of the API, as a caller uses it rightly.
type operation struct{ method, path, body string }

func (h *house) operations(id string) []operation {
	return []operation{{"GET", "/me", ""}, {"GET", "/holds", ""}, {"GET", "/holds/" + id, ""},
		{"GET", "/holds/" + id + "/message", ""}, {"GET", "/events", ""}, {"POST", "/test", `{"message": "Subject: x"}`},
		{"POST", "/holds/" + id + "/extend", `{"for": "1s"}`}, {"POST", "/holds/" + id + "/recall", `{}`},
		{"POST", "/holds/" + id + "/restore", `{"reason": "again"}`}, {"POST", "/holds/" + id + "/release", ``}}
}

// Each answer of each operation is as the document says, with every status that the document names.
func TestEveryAnswerIsAsTheDocumentSays(t *testing.T) {
	t.Parallel()
	h := open(t, "")
	p, id := h.program(), h.ids["of anna"]
	site, anna, bert := h.token("site", "admin"), h.token("anna", "act", "anna"), h.token("bert", "act", "bert")
	for _, o := range h.operations(id) {
		c := call{method: o.method, path: o.path, body: o.body}
		for _, with := range []struct {
			token, login string
			code         int
		}{{anna, "anna", 200}, {"", "", 401}, {anna, "mallory", 403}, {anna, "", 403}, {bert, "bert", 404}} {
			if with.code == 404 && !strings.Contains(o.path, id) {
				continue
			}
			c.token, c.login = with.token, with.login
			if code, text := p.do(c); code != with.code {
				t.Errorf("%s %s for %q: %d, want %d\n%s", c.method, c.path, c.login, code, with.code, text)
			}
		}
	}
	p.wrongBodies(site, id)
	p.tooLate(anna)
	p.tooOften(id, anna)
	h.redis.Kill()
	for _, o := range h.operations(id) {
		if code, _ := p.do(call{method: o.method, path: o.path, body: o.body, token: site}); code != 503 {
			t.Errorf("with the store away, %s %s: %d", o.method, o.path, code)
		}
	}
	for _, answer := range slices.Sorted(maps.Keys(p.want)) {
		if !p.seen[answer] {
			t.Errorf("the document has the answer %s, and the API did not give it", answer)
		}
	}
	for _, answer := range slices.Sorted(maps.Keys(p.seen)) {
		if !p.want[answer] {
			t.Errorf("the API gave the answer %s, and the document does not have it", answer)
		}
	}
}

// wrongBodies sends what no operation takes.
func (p *program) wrongBodies(token, id string) {
	p.h.t.Helper()
	p.do(call{method: "GET", path: "/holds?sort=x", token: token})
	for _, o := range p.h.operations(id) {
		if o.method != "POST" {
			continue
		}
		long := `{"reason": "` + strings.Repeat("a", 1001) + `"}`
		if strings.HasSuffix(o.path, "/extend") {
			long = `{"for": "x"}`
		} else if o.path == "/test" {
			long = `{"client": "x"}`
		}
		for _, c := range []struct {
			body, kind string
			code       int
		}{{`{`, "", 400}, {`{}`, "text/plain", 415}, {strings.Repeat(" ", 70_000), "", 413}, {long, "", 422}} {
			if code, text := p.do(call{method: o.method, path: o.path, token: token, body: c.body, kind: c.kind}); code !=
				c.code {
				p.h.t.Errorf("%s with %.30q (%s): %d, want %d\n%s", o.path, c.body, c.kind, code, c.code, text)
			}
		}
	}
}

// tooLate acts on a message that has left, and on one in another state.
func (p *program) tooLate(token string) {
	h := p.h
	h.t.Helper()
	h.hold("gone", "anna", "anna@corp.test", "default")
	id := h.ids["gone"]
	h.leave(id)
	for _, path := range []string{"recall", "extend", "restore"} {
		code, text := p.do(call{method: "POST", path: "/holds/" + id + "/" + path, token: token, login: "anna",
			body: map[string]string{"extend": `{"for": "1s"}`}[path]})
		if code != 409 || !strings.Contains(text, `/too-late"`) || !strings.Contains(text, `"result":"sent"`) {
			h.t.Errorf("%s of a message that has left: %d %s", path, code, text)
		}
	}
	again := call{method: "POST", path: "/holds/" + id + "/release", token: token, login: "anna"}
	if code, text := p.do(again); code != 200 {
		h.t.Errorf("release of a message that has left: %d %s", code, text)
	}
	h.hold("taken", "anna", "anna@corp.test", "default")
	p.do(call{method: "POST", path: "/holds/" + h.ids["taken"] + "/recall", token: token, login: "anna"})
	code, text := p.do(call{method: "POST", path: "/holds/" + h.ids["taken"] + "/release", token: token, login: "anna"})
	if code != 409 || !strings.Contains(text, `/not-now"`) {
		h.t.Errorf("release of a recalled message: %d %s", code, text)
	}
}

// tooOften sends wrong tokens from one network until it hears that these are too many.
func (p *program) tooOften(id, token string) {
	p.h.t.Helper()
	from := map[string]string{"X-Forwarded-For": "198.51.100.7"}
	for range 31 {
		p.do(call{method: "GET", path: "/me", token: "rmt_wrong", header: from})
	}
	for _, o := range p.h.operations(id) {
		c := call{method: o.method, path: o.path, body: o.body, token: "rmt_wrong", header: from}
		if code, text := p.do(c); code != 429 {
			p.h.t.Errorf("%s %s with the 33rd wrong token: %d %s", o.method, o.path, code, text)
		}
		c.token, c.login = token, "anna"
		if code, text := p.do(c); code == 429 {
			p.h.t.Errorf("%s %s with a right one, from the same network: %d %s", o.method, o.path, code, text)
		}
	}
}

// leave sends a message, as the daemon does.
func (h *house) leave(id string) {
	h.t.Helper()
	c, err := h.store.ClaimOne(h.t.Context(), id, "", holdstore.Actor{By: "test"})
	if err == nil {
		err = h.store.Settle(h.t.Context(), c, holdstore.Settlement{Results: map[int]holdstore.Result{0: {
			Outcome: holdstore.Sent}}})
	}
	if err != nil {
		h.t.Fatal(err)
	}
}
