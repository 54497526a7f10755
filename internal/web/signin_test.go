package web_test

import (
	"context"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/mark"
	"github.com/recall-milter/recall-milter/internal/web"
	"github.com/recall-milter/recall-milter/test/server"
)

// An address is one however it is written: nobody fills its mailbox with links.
func TestALinkIsMailedOnceAnHourHoweverTheAddressIsWritten(t *testing.T) {
	t.Parallel()
	h := open(t, "")
	h.asUser("")
	for _, address := range []string{"relay@corp.test", "RELAY@corp.test", "relay@CORP.TEST", "bert@corp.test"} {
		if code, _, _ := h.guest().ask("POST", "/sign-in", "act=mail&address="+address); code != http.StatusSeeOther {
			t.Fatalf("%s: %d", address, code)
		}
	}
	mailedTo := func(address string) (n int) {
		for mail, err := range h.store.Find(t.Context(), holdstore.Query{Recipient: address}) {
			if err == nil && mail.Own() {
				n++
			}
		}
		return n
	}
	server.Eventually(t, "the last of them has a link", func() bool { return mailedTo("bert@corp.test") == 1 })
	if n := mailedTo("relay@corp.test"); n != 1 {
		t.Errorf("one person got %d links", n)
	}
}

// The answer to a sign-in may get lost. The same form signs in again; the link in another browser does not.
func TestASignInByMailCanBeTriedAgainFromItsPage(t *testing.T) {
	t.Parallel()
	h := open(t, "")
	signed, _ := h.marker.Sign(mark.SignIn, encode(`{"i":"one","a":"relay@corp.test","e":"2099-01-01T00:00:00Z"}`))
	h.guest().ask("POST", "/s/"+signed, "act=sign-in&once=mine")
	for _, form := range []string{"act=sign-in&once=other", "act=sign-in&once=", "act=sign-in"} {
		if code, _, _ := h.guest().ask("POST", "/s/"+signed, form); code != 404 {
			t.Errorf("%s: %d", form, code)
		}
	}
	if code, _, _ := h.guest().ask("POST", "/s/"+signed, "act=sign-in&once=mine"); code != 303 {
		t.Errorf("the same form once more: %d", code)
	}
}

// Whoever may not see a message any more hears nothing more of it, though their stream began when they might.
func TestAStreamEndsWithTheRightToIt(t *testing.T) {
	t.Parallel()
	h := open(t, "")
	token := h.token("site", "read")
	signed, _ := h.marker.Sign(mark.SignIn, encode(`{"i":"one","a":"relay@corp.test","e":"2099-01-01T00:00:00Z"}`))
	g := h.guest()
	if code, _, _ := g.ask("POST", "/s/"+signed, "act=sign-in"); code != 303 {
		t.Fatalf("sign in: %d", code)
	}
	link, _ := h.marker.HoldLink(h.ids["of anna"], time.Now().Truncate(time.Second).Add(2*time.Second))
	for what, c := range map[string]struct {
		path, token string
		end         func()
	}{
		"a revoked token": {"/api/v1/events", token, func() {
			all, _, err := web.TokenList(t.Context(), h.store, h.marker)
			if err == nil {
				err = h.store.RemoveToken(t.Context(), all[0].Digest)
			}
			if err != nil {
				t.Error(err)
			}
		}},
		"a sign-out":          {"/m/" + h.ids["no login"] + "/events", "", func() { g.ask("POST", "/sign-out", "act=here") }},
		"a link that is over": {"/l/" + link + "/events", "", func() {}},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // it goes on otherwise
		defer cancel()
		r, _ := http.NewRequestWithContext(ctx, "GET", h.url+c.path, nil)
		if c.token != "" {
			r.Header.Set("Authorization", "Bearer "+c.token)
		}
		answer, err := (&http.Client{Jar: g.client.Jar}).Do(r)
		if err != nil || answer.StatusCode != 200 {
			t.Fatalf("%s: %v %v", what, answer, err)
		}
		c.end()
		if _, err := io.Copy(io.Discard, answer.Body); err != nil {
			t.Errorf("after %s the stream goes on: %v", what, err)
		}
		answer.Body.Close()
	}
}
