package web_test

import (
	"bufio"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
)

// Every operation with every scope, for the site and for a login, and without a token.
func TestEachOperationDemandsItsScope(t *testing.T) {
	t.Parallel()
	h := open(t, "")
	p := h.program()
	id := h.ids["of anna"]
	type holder struct{ name, token, login string }
	holders := []holder{{name: "nobody"}, {name: "a wrong token", token: "rmt_x"}}
	for _, scope := range []string{"read", "act", "admin"} {
		holders = append(holders, holder{scope, h.token(scope, scope), ""},
			holder{scope + " for anna", h.token(scope+"-for", scope, "anna"), "anna"},
			holder{scope + " of the site for anna", h.token(scope+"-site", scope), "anna"})
	}
	for _, o := range h.operations(id) {
		for _, with := range holders {
			want := 200
			switch {
			case with.token == "" || with.token == "rmt_x":
				want = 401
			case strings.HasPrefix(with.name, "read") && strings.HasPrefix(o.path, "/holds/") && o.method == "POST":
				want = 403
			case o.method == "PUT" && (strings.HasPrefix(with.name, "read") || with.login == ""): // the site is nobody
				want = 403
			}
			code, text := p.do(call{method: o.method, path: o.path, body: o.body, token: with.token, login: with.login})
			if code != want {
				t.Errorf("%s %s with %s: %d, want %d %s", o.method, o.path, with.name, code, want, text)
			}
		}
	}
}

// What is not the body that an operation takes does nothing, and breaks nothing.
func TestHostileBodiesDoNothing(t *testing.T) {
	t.Parallel()
	h := open(t, "")
	p := h.program()
	token := h.token("site", "admin")
	deep := strings.Repeat(`{"only":[`, 5000) + strings.Repeat("]}", 5000)
	for _, body := range []string{"{", "[]", `"x"`, "1", "true", "{}{}", "{} x", "{}\x00", "\xff",
		`{"reason": "` + "\xff" + `"}`,
		`{"reason": 1}`, `{"reason": null, "reason": "x"}`, `{"Reason": "x"}`, `{"reason": {}}`, `{"only": "x@far.test"}`,
		`{"only": [1]}`, `{"only": []}`, `{"only": [null]}`, `{"only": [[]]}`, `{"ask": "yes"}`, `{"unknown": 1}`,
		`{"reason": "\ud800"}`, `{"reason": "` + strings.Repeat("x", 1001) + `"}`, deep, strings.Repeat("[", 60_000),
		`{"only": ["` + strings.Repeat("x", 66_000) + `"]}`, "\ufeff{}", `{"for": "1m", "for": "2m"}`, `{"for": 1e999}`,
		`{"for": "-1m"}`, `{"for": "99999999d"}`, `{"size": 1e400}`, `{"size": -1}`, `{"at": "yesterday"}`,
		`{"message": ["x"]}`} {
		for _, verb := range []string{"recall", "release", "extend", "restore"} {
			code, text := p.do(call{method: "POST", path: "/holds/" + h.ids["of anna"] + "/" + verb, token: token, body: body})
			if code < 400 || code >= 500 {
				t.Errorf("%s with %.40q: %d %s", verb, body, code, text)
			}
		}
		if strings.HasPrefix(body, `{"message`) || strings.HasPrefix(body, `{"at`) || strings.HasPrefix(body, `{"size`) {
			if code, text := p.do(call{method: "POST", path: "/test", token: token, body: body}); code < 400 || code >= 500 {
				t.Errorf("test with %.40q: %d %s", body, code, text)
			}
		}
	}
	hold, err := h.store.Get(t.Context(), h.ids["of anna"])
	if err != nil || hold.State != holdstore.Held || len(hold.Timeline) != 1 {
		t.Errorf("it was changed: %v %+v", err, hold)
	}
}

// A client that was away hears of what changed meanwhile, the oldest first: it may be cut off behind each event. It
// hears again of what changed shortly before its last event, as not all of that was perhaps told, and of nothing older.
func TestEventsResume(t *testing.T) {
	t.Parallel()
	h := open(t, "")
	token, began := h.token("anna", "act", "anna"), time.Now().UnixMilli()
	h.extend(h.ids["of anna"])
	for extended := time.Now(); time.Since(extended) < time.Millisecond; { // events of one millisecond have no order
		runtime.Gosched()
	}
	h.hold("new", "anna", "anna@corp.test", "default")
	// hears returns the subjects of n events, and the ID of the last.
	hears := func(last int64, n int, meanwhile func()) (subjects []string, id int64) {
		lines := h.listenTo("/api/v1/events", "Authorization", "Bearer "+token, "Recall-On-Behalf-Of", "anna",
			"Last-Event-ID", fmt.Sprint(last))
		meanwhile()
		for len(subjects) < n && lines.Scan() {
			if text, ok := strings.CutPrefix(lines.Text(), "id: "); ok {
				id, _ = strconv.ParseInt(text, 10, 64)
			}
			if m := regexp.MustCompile(`"subject":"([^"]*)"`).FindStringSubmatch(lines.Text()); m != nil {
				subjects = append(subjects, m[1])
			}
		}
		return subjects, id
	}
	heard, last := hears(began, 2, func() {})
	if fmt.Sprint(heard) != "[of anna new]" || last < began {
		t.Errorf("it heard %q, the last event is %d", heard, last)
	}
	if again, _ := hears(last, 2, func() {}); fmt.Sprint(again) != "[of anna new]" {
		t.Errorf("again it heard %q", again)
	}
	heard, next := hears(last+10_001, 1, func() { h.extend(h.ids["new"]) })
	if fmt.Sprint(heard) != "[new]" || next <= last {
		t.Errorf("later it heard %q with the event %d, after %d", heard, next, last)
	}
}

// listenTo opens a stream of events.
func (h *house) listenTo(path string, header ...string) *bufio.Scanner {
	h.t.Helper()
	r, err := http.NewRequestWithContext(h.t.Context(), "GET", h.url+path, nil)
	if err != nil {
		h.t.Fatal(err)
	}
	for n := 0; n+1 < len(header); n += 2 {
		r.Header.Set(header[n], header[n+1])
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { answer.Body.Close() })
	return bufio.NewScanner(answer.Body)
}

// A message changes between the page that shows it and the stream of that page, which says what the page has seen.
func TestAPageHearsWhatChangedBeforeItListened(t *testing.T) {
	t.Parallel()
	h := open(t, withBoss)
	id := h.ids["of anna"]
	_, page, _ := h.guest("Remote-User", "anna").ask("GET", "/m/"+id, "")
	seen := regexp.MustCompile(`data-seen="([^"]+)"`).FindStringSubmatch(page)
	if seen == nil {
		t.Fatalf("the page does not say what it has seen:\n%s", page)
	}
	h.extend(id)
	lines := h.listenTo("/m/"+id+"/events?seen="+url.QueryEscape(seen[1]), "Remote-User", "anna")
	for lines.Scan() && lines.Text() != "event: hold" {
		if strings.Contains(lines.Text(), "still here") {
			t.Fatal("the page does not hear of it")
		}
	}
}
