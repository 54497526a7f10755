package web_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/mark"
	"github.com/recall-milter/recall-milter/internal/web"
)

// refusals counts what the audit trail says of wrong proofs.
func (h *house) refusals() (n int) {
	h.t.Helper()
	for e, err := range h.store.Log(h.t.Context(), time.Time{}, false) {
		if err != nil {
			h.t.Fatal(err)
		}
		if e.Verb == "web refused" {
			n++
		}
	}
	return n
}

// A network that guesses 10,000 times hears 404 and then 429, costs two lines of the audit trail a minute, and keeps
// nobody else away.
func TestTenThousandGuessesFindNothing(t *testing.T) {
	t.Parallel()
	h := open(t, "")
	link, _ := h.marker.HoldLink(h.ids["of anna"], time.Now().Add(time.Hour))
	forged, _ := mark.New([]byte("guess")).HoldLink(h.ids["of anna"], time.Now().Add(time.Hour))
	begun := time.Now()
	var found, refused atomic.Int64
	var work sync.WaitGroup
	for worker := range 20 {
		work.Go(func() {
			for n := range 500 {
				path := []string{"/l/" + forged, "/s/" + forged, "/l/" + link + "x", "/api/v1/me"}[n%4]
				r, _ := http.NewRequestWithContext(t.Context(), "GET", h.url+path, nil)
				r.Header.Set("X-Forwarded-For", "198.51.100.7")
				r.Header.Set("Authorization", fmt.Sprintf("Bearer rmt_%d-%d", worker, n))
				r.RemoteAddr = "127.0.0.1:1" // a proxy's; ten thousand connections would cost more than their answers
				answer := httptest.NewRecorder()
				h.page.ServeHTTP(answer, r)
				switch answer.Code {
				case http.StatusTooManyRequests:
					refused.Add(1)
				case http.StatusNotFound, http.StatusUnauthorized:
				default:
					found.Add(1)
				}
			}
		})
	}
	work.Wait()
	minutes := int64(time.Since(begun)/time.Minute) + 2
	if found.Load() > 0 || refused.Load() < 10_000-minutes*31 {
		t.Errorf("%d guesses were answered otherwise, and only %d heard that they are too many", found.Load(), refused.Load())
	}
	if n := h.refusals(); n < 1 || n > int(minutes)*2 {
		t.Errorf("%d lines of the audit trail", n)
	}
	g := h.guest("X-Forwarded-For", "198.51.100.7")
	if code, _, _ := g.ask("GET", "/l/"+link, ""); code != 200 {
		t.Errorf("a right link from the same network: %d", code)
	}
}

// Whatever is wrong with a proof, and whether its message exists: the answer is the same to the byte.
func TestAWrongProofTellsNothing(t *testing.T) {
	t.Parallel()
	h := open(t, "[web.sign_in]\nheader = \"Remote-User\"\n")
	id, none := h.ids["of anna"], "32VWE3H4VYYPX"
	revoked := h.token("revoked", "read")
	all, _, err := web.TokenList(t.Context(), h.store, h.marker)
	if err == nil {
		err = h.store.RemoveToken(t.Context(), all[0].Digest)
	}
	ended, wrong := web.NewToken(t.Context(), h.store, h.marker, web.Token{Name: "ended", Scope: "admin",
		Expires: time.Now().Add(-time.Second)})
	foreign, bad := web.NewToken(t.Context(), h.store, mark.New([]byte("guess")), web.Token{Name: "f", Scope: "admin"})
	if err != nil || wrong != nil || bad != nil {
		t.Fatal(err, wrong, bad)
	}
	bert := h.token("bert", "act", "bert")
	type answer struct {
		code int
		text string
	}
	same := func(what string, answers ...answer) {
		t.Helper()
		for n := range answers {
			answers[n].text = strings.ReplaceAll(answers[n].text, none, id)
			if answers[n] != answers[0] {
				t.Errorf("%s: answer %d differs: %v\nfrom %v", what, n, answers[n], answers[0])
			}
		}
	}
	api := func(token, login, method, path string) (a answer) {
		g := h.guest("Authorization", "Bearer "+token, "Recall-On-Behalf-Of", login)
		a.code, a.text, _ = g.ask(method, "/api/v1"+path, "")
		return a
	}
	same("tokens", api("rmt_x", "", "GET", "/me"), api(revoked, "", "GET", "/me"), api(ended, "", "GET", "/me"),
		api(foreign, "", "GET", "/me"), api(bert+"x", "bert", "GET", "/me"), api(bert[:len(bert)-1], "bert", "GET", "/me"))
	page := func(method, path string) (a answer) {
		form := ""
		if method == "POST" {
			form = "act=recall"
		}
		a.code, a.text, _ = h.guest("Remote-User", "bert").ask(method, path, form)
		return a
	}
	for _, path := range []string{"", "/message"} {
		same("GET "+path, api(bert, "bert", "GET", "/holds/"+id+path), api(bert, "bert", "GET", "/holds/"+none+path),
			api(bert, "bert", "GET", "/holds/x"+path))
	}
	for _, act := range []string{"recall", "release", "restore"} {
		same(act, api(bert, "bert", "POST", "/holds/"+id+"/"+act), api(bert, "bert", "POST", "/holds/"+none+"/"+act))
	}
	for _, path := range []string{"", "/events"} {
		same("page "+path, page("GET", "/m/"+id+path), page("GET", "/m/"+none+path), page("GET", "/m/x"+path))
	}
	same("act", page("POST", "/m/"+id), page("POST", "/m/"+none))
	if got := h.state("of anna"); got != holdstore.Held {
		t.Errorf("it is %s", got)
	}
}
