package web_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/internal/mark"
)

// routes are the paths of all that the page answers, read from its source, with their placeholders filled in.
func (h *house) routes() (paths []string) {
	h.t.Helper()
	link, _ := h.marker.HoldLink(h.ids["of anna"], time.Now().Add(time.Hour))
	proof, _ := h.marker.Sign(mark.SignIn, encode(`{"i":"scan","a":"relay@corp.test","e":"2099-01-01T00:00:00Z"}`))
	fill := strings.NewReplacer("/l/{token}", "/l/"+link, "/s/{token}", "/s/"+proof, "{id}", h.ids["of anna"],
		"{name}", "page.css", "{$}", "", "{verb}", "recall")
	files, _ := filepath.Glob("*.go")
	seen := map[string]bool{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			h.t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`HandleFunc\("(?:[A-Z]+ )?(/[^"]*)"`).FindAllSubmatch(text, -1) {
			if path := fill.Replace(string(m[1])); !strings.HasSuffix(file, "_test.go") && !seen[path] {
				seen[path] = true
				paths = append(paths, path)
			}
		}
	}
	if len(paths) < 15 {
		h.t.Fatalf("only these routes were found: %v", paths)
	}
	return paths
}

// state is all that somebody could have changed: each message, what was audited, and who is signed in.
func (h *house) snapshot(signedIn *guest) string {
	h.t.Helper()
	var b strings.Builder
	for _, subject := range []string{"of anna", "no login"} {
		hold, err := h.store.Get(h.t.Context(), h.ids[subject])
		if err != nil {
			h.t.Fatal(err)
		}
		fmt.Fprintln(&b, subject, hold.State, hold.Due, hold.Results, hold.Timeline)
	}
	for e, err := range h.store.Log(h.t.Context(), time.Time{}, false) {
		if err != nil {
			h.t.Fatal(err)
		}
		if e.Verb != "web refused" {
			fmt.Fprintln(&b, e.Verb, e.ID)
		}
	}
	code, _, _ := signedIn.ask("GET", "/", "")
	fmt.Fprintln(&b, code)
	return b.String()
}

// scan is what a program sends that opens the links of a mail, looks at them before somebody clicks, or sends the forms
// that it finds.
type scan struct {
	name, method, query, kind, body string
	header                          []string
}

var scans = []scan{
	{name: "opens it", method: "GET"},
	{name: "asks whether it is there", method: "HEAD"},
	{name: "asks what is allowed", method: "OPTIONS"},
	{name: "traces", method: "TRACE"},
	{name: "a browser looks ahead", method: "GET", header: []string{"Sec-Purpose", "prefetch"}},
	{name: "a browser renders ahead", method: "GET", header: []string{"Sec-Purpose", "prefetch;prerender"}},
	{name: "an old browser looks ahead", method: "GET", header: []string{"Purpose", "prefetch"}},
	{name: "Firefox looks ahead", method: "GET", header: []string{"X-Moz", "prefetch"}},
	{name: "a messenger makes a preview", method: "GET",
		header: []string{"User-Agent", "Slackbot-LinkExpanding 1.0"}},
	{name: "reads a part", method: "GET", header: []string{"Range", "bytes=0-100"}},
	{name: "asks for news", method: "GET", header: []string{"If-Modified-Since", "Sat, 28 Nov 2026 00:00:00 GMT"}},
	{name: "tries the button in the address", method: "GET", query: "act=recall"},
	{name: "and with HEAD", method: "HEAD", query: "act=release"},
	{name: "names another method", method: "GET", header: []string{"X-HTTP-Method-Override", "POST"}},
	{name: "names it in the address", method: "GET", query: "_method=POST&act=recall"},
	{name: "sends a form with GET", method: "GET", kind: "application/x-www-form-urlencoded", body: "act=recall"},
	{name: "comes from elsewhere", method: "GET",
		header: []string{"Sec-Fetch-Site", "cross-site", "Origin", "https://x.test"}},
	{name: "deletes", method: "DELETE", query: "act=recall"},
	{name: "puts", method: "PUT", kind: "application/x-www-form-urlencoded", body: "act=recall"},
	{name: "patches", method: "PATCH", kind: "application/json", body: `{"act": "recall"}`},
	{name: "looks for folders", method: "PROPFIND"},
	{name: "sends an empty form", method: "POST", kind: "application/x-www-form-urlencoded"},
	{name: "sends the form without a button", method: "POST", kind: "application/x-www-form-urlencoded",
		body: "only=x@far.test&address=relay@corp.test"},
	{name: "presses a button without a name", method: "POST", kind: "application/x-www-form-urlencoded",
		body: "act=&submit=1"},
	{name: "presses a button that there is not", method: "POST", kind: "application/x-www-form-urlencoded",
		body: "act=submit"},
	{name: "sends it with the button in the address", method: "POST", query: "act=recall",
		kind: "application/x-www-form-urlencoded", body: "x=y"},
	{name: "sends it in parts", method: "POST", kind: "multipart/form-data; boundary=b",
		body: "--b\r\nContent-Disposition: form-data; name=\"act\"\r\n\r\nrecall\r\n--b--\r\n"},
	{name: "sends it as text", method: "POST", kind: "text/plain", body: "act=recall"},
	{name: "sends it from another site", method: "POST", kind: "application/x-www-form-urlencoded",
		body:   "act=recall",
		header: []string{"Sec-Fetch-Site", "cross-site"}},
	{name: "sends it from another origin", method: "POST", kind: "application/x-www-form-urlencoded",
		body:   "act=everywhere",
		header: []string{"Origin", "https://mallory.test"}},
}

// Nothing that only looks changes anything, on any route, in a browser that is signed in as well.
func TestNoScannerChangesAnything(t *testing.T) {
	t.Parallel()
	h := open(t, "")
	signedIn := h.guest()
	proof, _ := h.marker.Sign(mark.SignIn, encode(`{"i":"one","a":"relay@corp.test","e":"2099-01-01T00:00:00Z"}`))
	if code, _, _ := signedIn.ask("POST", "/s/"+proof, "act=sign-in"); code != 303 {
		t.Fatalf("sign in: %d", code)
	}
	before := h.snapshot(signedIn)
	for _, path := range h.routes() {
		for _, sc := range scans {
			for _, g := range []*guest{h.guest(), signedIn} {
				if g == signedIn && sc.method == "POST" && strings.HasPrefix(path, "/api/") {
					continue // no page has a form that leads there, and other sites are refused
				}
				h.scan(g.client, path, sc)
			}
			if after := h.snapshot(signedIn); after != before {
				t.Fatalf("a program that %s (%s %s) has changed something:\n%s\nbefore:\n%s", sc.name, sc.method, path, after,
					before)
			}
		}
	}
}

func (h *house) scan(client *http.Client, path string, sc scan) {
	h.t.Helper()
	if sc.query != "" {
		path += "?" + sc.query
	}
	r, err := http.NewRequestWithContext(h.t.Context(), sc.method, h.url+path, strings.NewReader(sc.body))
	if err != nil {
		h.t.Fatal(err)
	}
	if sc.kind != "" {
		r.Header.Set("Content-Type", sc.kind)
	}
	for n := 0; n+1 < len(sc.header); n += 2 {
		r.Header.Set(sc.header[n], sc.header[n+1])
	}
	answer, err := client.Do(r)
	if err != nil {
		h.t.Fatalf("%s %s: %v", sc.method, path, err)
	}
	defer answer.Body.Close()
	if !strings.HasPrefix(answer.Header.Get("Content-Type"), "text/event-stream") {
		_, _ = io.Copy(io.Discard, answer.Body)
	}
}
