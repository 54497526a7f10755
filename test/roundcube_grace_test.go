package test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/recall-milter/recall-milter/test/browser"
)

// TestOwnGraceIsChosenInRoundcube sees the setting only where the API offers a range.
func TestOwnGraceIsChosenInRoundcube(t *testing.T) {
	m := startWebmail(t)
	b := m.signIn("anna", "en")
	settings := m.URL + "/?_task=settings&_action=edit-prefs&_section=compose"
	b.GoTo(settings)
	b.Sees("Main Options")
	if browser.JS[bool](b, `document.getElementById("recall-milter-grace") !== null`) {
		t.Error("a grace can be chosen that the gateway does not offer")
	}
	var mu sync.Mutex
	own := ""
	page, _ := url.Parse(m.page.base)
	rest := httputil.NewSingleHostReverseProxy(page)
	offers := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/api/v1/me" {
			rest.ServeHTTP(w, r)
			return
		}
		mu.Lock()
		defer mu.Unlock()
		if body, _ := io.ReadAll(r.Body); r.Method == http.MethodPut {
			own = string(body)
		}
		w.Header().Set("Content-Type", "application/json")
		grace := map[bool]string{true: `"grace":"5m0s",`}[own != "" && own != `{"grace":""}`]
		fmt.Fprintf(w, `{"login":"anna",%s"grace_range":["0s","1h0m0s"]}`, grace)
	}))
	t.Cleanup(offers.Close)
	m.api.To(strings.TrimPrefix(offers.URL, "http://"))
	b.GoTo(settings)
	b.Sees("How long your messages wait before they are sent")
	choose := func(text, wants string) {
		t.Helper()
		browser.JS[bool](b, `(s => { s.value = [...s.options].find(o => o.text === "`+text+`").value; return true })(
			document.getElementById("recall-milter-grace"))`)
		b.Do("save", chromedp.Click("button.submit, .formbuttons .btn-primary"))
		b.Until("it is saved", `!rcmail.busy && document.readyState === "complete"`)
		b.GoTo(settings)
		b.Until("it is chosen", `document.getElementById("recall-milter-grace")?.selectedOptions[0].text === "`+text+`"`)
		mu.Lock()
		defer mu.Unlock()
		if own != wants {
			t.Errorf("the gateway heard %s, want %s", own, wants)
		}
	}
	choose("5 min", `{"grace":"300s"}`)
	b.Picture("roundcube-grace")
	choose("As the organisation sets it", `{"grace":""}`)
	m.api.To("")
	b.GoTo(settings)
	b.Until("nothing is offered without an API", `document.readyState === "complete" &&
		document.getElementById("recall-milter-grace") === null`)
}
