package web_test

import (
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/web"
)

// program is a client of the API, all of whose answers are held against the document that the page serves.
type program struct {
	h    *house
	want map[string]map[string]*jsonschema.Schema // "GET /api/v1/me 200", of the document: what a body is, by media type
	seen map[string]bool
}

func (h *house) program() *program {
	h.t.Helper()
	_, text, _ := h.guest().ask("GET", "/api/v1/openapi.json", "")
	document, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		h.t.Fatal(err)
	}
	closed(document, "")
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	if err := compiler.AddResource("openapi.json", document); err != nil {
		h.t.Fatal(err)
	}
	p := &program{h, map[string]map[string]*jsonschema.Schema{}, map[string]bool{}}
	for path, item := range at(h.t, document, "paths") {
		for method, operation := range item.(map[string]any) {
			for code, answer := range at(h.t, operation, "responses") {
				place := "/paths/" + escaped(path) + "/" + method + "/responses/" + code
				if ref, ok := answer.(map[string]any)["$ref"].(string); ok {
					place = strings.TrimPrefix(ref, "#")
					answer = at(h.t, document, strings.Split(place[1:], "/")...)
				}
				kinds := map[string]*jsonschema.Schema{}
				for kind := range at(h.t, answer, "content") {
					kinds[kind] = compiler.MustCompile("openapi.json#" + place + "/content/" + escaped(kind) + "/schema")
				}
				p.want[strings.ToUpper(method)+" "+path+" "+code] = kinds
			}
		}
	}
	return p
}

// escaped writes a name as part of a JSON pointer (RFC 6901).
func escaped(name string) string { return strings.NewReplacer("~", "~0", "/", "~1").Replace(name) }

// at returns the object at a place of the document.
func at(t *testing.T, value any, path ...string) map[string]any {
	t.Helper()
	object, ok := value.(map[string]any)
	for _, name := range path {
		object, ok = object[name].(map[string]any)
	}
	if !ok {
		t.Fatalf("the document has no object at %q", path)
	}
	return object
}

// closed lets no object of the document have more than its properties: a field that nobody has described is a fault
// here. For callers it is none, as later versions may have more.
func closed(value any, under string) {
	switch v := value.(type) {
	case map[string]any:
		for name, part := range v {
			closed(part, name)
			one, schema := part.(map[string]any)
			if schema && (under == "properties" || name == "items" || name == "schema") {
				one["unevaluatedProperties"] = false
			}
		}
	case []any:
		for _, part := range v {
			closed(part, "")
		}
	}
}

// described says what is wrong with an answer by the document.
func (p *program) described(answer, kind, text string) error {
	kinds, known := p.want[answer]
	if !known {
		return nil // it is reported at the end
	}
	kind, _, _ = mime.ParseMediaType(kind)
	schema, known := kinds[kind]
	switch {
	case !known:
		return fmt.Errorf("the document has no body of %s", kind)
	case kind != "application/json" && kind != "application/problem+json":
		return nil // one text, or a stream of them
	}
	body, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		return err
	}
	return schema.Validate(body)
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
	parts := strings.Split(c.path, "?")
	path := "/api/v1" + parts[0]
	segments := strings.Split(parts[0], "/")
	if len(segments) > 2 && slices.Contains([]string{"holds", "claw-backs"}, segments[1]) {
		segments[2] = "{id}"
		path = "/api/v1" + strings.Join(segments, "/")
	}
	name := fmt.Sprintf("%s %s %d", c.method, path, answer.StatusCode)
	p.seen[name] = true
	if err := p.described(name, answer.Header.Get("Content-Type"), string(text)); err != nil {
		p.h.t.Errorf("%s: %v\n%s", name, err, text)
	}
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
		{"POST", "/holds/" + id + "/restore", `{"reason": "again"}`}, {"POST", "/holds/" + id + "/release", ``},
		{"PUT", "/me", `{"grace": "1m"}`}}
}

// Each answer of each operation is as the document says, with every status that the document names.
func TestEveryAnswerIsAsTheDocumentSays(t *testing.T) {
	t.Parallel()
	h := open(t, mailboxTable)
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
	p.dueWhileLooking(anna)
	p.tooOften(id, anna)
	claw := p.clawBacks(site, anna)
	p.damaged(site)
	h.redis.Kill()
	for _, o := range append(h.operations(id), clawOperations(claw)...) {
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
		if p.want[answer] == nil {
			t.Errorf("the API gave the answer %s, and the document does not have it", answer)
		}
	}
}

// wrongBodies sends what no operation takes.
func (p *program) wrongBodies(token, id string) {
	p.h.t.Helper()
	p.do(call{method: "GET", path: "/holds?sort=x", token: token})
	for _, o := range p.h.operations(id) {
		if o.method == "GET" {
			continue
		}
		long := `{"reason": "` + strings.Repeat("a", 1001) + `"}`
		if strings.HasSuffix(o.path, "/extend") {
			long = `{"for": "x"}`
		} else if o.path == "/test" {
			long = `{"client": "x"}`
		} else if o.path == "/me" {
			long = `{"grace": "x"}`
		}
		for _, c := range []struct {
			body, kind string
			code       int
		}{{`{`, "", 400}, {`{}`, "text/plain", 415}, {strings.Repeat(" ", 70_000), "", 413}, {long, "", 422}} {
			code, text := p.do(call{method: o.method, path: o.path, token: token, body: c.body, kind: c.kind})
			if code != c.code {
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

// dueWhileLooking acts on a message that has become due since it was looked at: before the daemon has seen that, and
// while it sends.
func (p *program) dueWhileLooking(token string) {
	h := p.h
	h.t.Helper()
	id := h.mail("due", time.Millisecond, "Hello", "bert@far.test")
	do := func(act, body string, code int, says string) {
		h.t.Helper()
		c := call{method: "POST", path: "/holds/" + id + "/" + act, token: token, login: "anna", body: body}
		if act == "" {
			c.method, c.path = "GET", "/holds/"+id
		}
		if got, text := p.do(c); got != code || !strings.Contains(text, says) {
			h.t.Errorf("%q of a message that is due: %d, want %d and %s\n%s", act, got, code, says, text)
		}
	}
	do("", "", 200, `"state":"held"`)
	do("recall", "{}", 200, `"outcome":"recalled"`)
	do("restore", "", 200, `"state":"held"`)
	do("release", "", 200, `"state":"held"`)
	if _, err := h.store.ClaimOne(h.t.Context(), id, "", holdstore.Actor{By: "test"}); err != nil {
		h.t.Fatal(err)
	}
	do("", "", 200, `"state":"releasing"`)
	for act, body := range map[string]string{"recall": "{}", "extend": `{"for": "1m"}`, "restore": ""} {
		do(act, body, 409, `"result":"pending"`)
	}
	do("release", "", 200, `"state":"releasing"`)
}

// damaged asks for everything of a message whose record can't be read.
func (p *program) damaged(token string) {
	h := p.h
	h.t.Helper()
	h.hold("damaged", "anna", "anna@corp.test", "default")
	id := h.ids["damaged"]
	h.redis.Do("HSET recall:{mh0}:h:" + id + " p {")
	for _, o := range h.operations(id) {
		if !strings.Contains(o.path, id) {
			continue
		}
		if code, text := p.do(call{method: o.method, path: o.path, body: o.body, token: token}); code != 500 {
			h.t.Errorf("%s %s of a damaged record: %d %s", o.method, o.path, code, text)
		}
	}
}

// tooOften sends wrong tokens from one network until it hears that these are too many.
func (p *program) tooOften(id, token string) {
	p.h.t.Helper()
	for _, o := range p.h.operations(id) {
		c := call{method: o.method, path: o.path, body: o.body}
		p.wrongToken(&c)
		c.token, c.login = token, "anna"
		if code, text := p.do(c); code == 429 {
			p.h.t.Errorf("%s %s with a right one, from the same network: %d %s", o.method, o.path, code, text)
		}
	}
}

// wrongToken repeats a call with a wrong token until it hears that these are too many. They are counted by the minute,
// and a busy machine may need more than one.
func (p *program) wrongToken(c *call) {
	p.h.t.Helper()
	c.token, c.login, c.header = "rmt_wrong", "", map[string]string{"X-Forwarded-For": "198.51.100.7"}
	for range 300 {
		if code, _ := p.do(*c); code == 429 {
			return
		}
	}
	p.h.t.Errorf("%s %s with a wrong token, 300 times: never too many", c.method, c.path)
}

// leave sends a message, as the daemon does.
func (h *house) leave(id string) {
	h.t.Helper()
	c, err := h.store.ClaimOne(h.t.Context(), id, "", holdstore.Actor{By: "test"})
	if err == nil {
		results := map[int]holdstore.Result{}
		for n, r := range c.Results {
			if r.Outcome == holdstore.Pending {
				results[n] = holdstore.Result{Outcome: holdstore.Sent, Detail: "250 2.0.0 Ok: queued as 4ZxKq01"}
			}
		}
		err = h.store.Settle(h.t.Context(), c, holdstore.Settlement{Results: results})
	}
	if err != nil {
		h.t.Fatal(err)
	}
}

// A program that asks at a wrong path, or with a wrong method, must not take the message for gone.
func TestAnUnknownPathSaysNothingOfAMessage(t *testing.T) {
	t.Parallel()
	h := open(t, "")
	p, site, id := h.program(), h.token("site", "admin"), h.ids["of anna"]
	for _, c := range []struct{ method, path, kind string }{{"GET", "/hold", "unknown-path"},
		{"DELETE", "/holds/" + id, "unknown-path"}, {"POST", "/holds/" + id + "/forget", "unknown-path"},
		{"GET", "/../v2/me", "unknown-path"}, {"GET", "/holds/7K3MPQ2A9BCDE", "not-found"}} {
		code, text := p.do(call{method: c.method, path: c.path, token: site})
		if err := p.described("GET /api/v1/holds/{id} 404", "application/problem+json", text); err != nil || code != 404 ||
			!strings.Contains(text, "/problems/"+c.kind+`"`) {
			t.Errorf("%s %s: %d %s, %v", c.method, c.path, code, text, err)
		}
		if c.kind == "unknown-path" && strings.Contains(text, "message") {
			t.Errorf("%s %s is about a message: %s", c.method, c.path, text)
		}
	}
	for _, path := range []string{"/nothing", "/static/nothing.css"} {
		code, text, _ := h.guest().ask("GET", path, "")
		if code != 404 || !strings.Contains(text, "This page does not exist") {
			t.Errorf("%s: %d %s", path, code, text)
		}
	}
}
