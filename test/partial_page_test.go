package test

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/recall-milter/recall-milter/test/server"
)

// partialPage is a page with several tokens.
type partialPage struct {
	*webSite
	t      *testing.T
	tokens []string
}

// page starts a page at the administrator's store.
func (d *desk) page() *partialPage {
	d.t.Helper()
	address := server.FreeAddr(d.t)
	text, err := os.ReadFile(d.conf)
	if err == nil {
		err = os.WriteFile(d.conf, fmt.Appendf(text, "[web]\nlisten = [%q]\nbase_url = \"http://%s\"\n"+
			"operators = [\"boss\"]\n[web.sign_in]\nheader = \"Remote-User\"\n", address, address), 0o600)
	}
	if err != nil {
		d.t.Fatal(err)
	}
	p := &partialPage{webSite: &webSite{g: &gateway{t: d.t, conf: d.conf}, base: "http://" + address}, t: d.t}
	p.start()
	for n := range 8 {
		p.tokens = append(p.tokens, regexp.MustCompile(`rmt_\w+`).FindString(
			d.does(0, "rmt_", "token", "new", fmt.Sprint("t", n), "--scope", "act")))
	}
	return p
}

// answers repeats a call until its answer is so: on a machine under load a server that is there may seem away as well.
func (p *partialPage) answers(token, login, method, path, body string, so func(int, map[string]any) bool) {
	p.t.Helper()
	server.Eventually(p.t, fmt.Sprintf("the answer to %s %s of %q is as it should be", method, path, login), func() bool {
		status, answer := p.call(token, login, method, path, body)
		ok := so(status, answer)
		if !ok {
			p.t.Logf("%s %s: %d %v", method, path, status, answer)
		}
		return ok
	})
}

// shows is answers of a page, which says that.
func (p *partialPage) shows(login, path, says string) {
	p.t.Helper()
	v := newVisitor(p.t)
	v.header.Set("Remote-User", login)
	server.Eventually(p.t, fmt.Sprintf("%s shows %q", path, says), func() bool {
		status, text := v.get(p.base + path)
		return status == 200 && strings.Contains(text, says)
	})
}

// partly looks and acts with a part of the store away: what the rest has is there, and what is missing is said. The
// counters of some callers are on the part that is away, which keeps nobody from acting.
func (p *partialPage) partly(seen, unseen []string) {
	p.t.Helper()
	whole := func(status int, answer map[string]any) bool {
		holds, _ := answer["holds"].([]any)
		missing, _ := answer["missing"].(string)
		return status == 200 && len(holds) == len(seen) && missing != ""
	}
	p.answers(p.tokens[0], "", "GET", "/holds?limit=500", "", whole)        // an operator's search
	p.answers(p.tokens[0], "mallory", "GET", "/holds?limit=500", "", whole) // a sender's own
	const missing = "there may be more messages"
	p.shows("mallory", "/", missing)
	p.shows("boss", "/operator/", missing)
	p.shows("boss", "/operator/audit", missing)
	p.shows("boss", "/operator/confirm?act=recall&which=all&sender=mallory%40corp.test", missing)
	p.shows("boss", "/operator/health", fmt.Sprint("<dd>", len(seen), "</dd>"))
	for n, token := range p.tokens {
		id := seen[n%len(seen)]
		done := func(status int, answer map[string]any) bool { return status == 200 && answer["id"] == id }
		p.answers(token, "mallory", "POST", "/holds/"+id+"/extend", `{"for": "1m"}`, done)
	}
	away := func(status int, answer map[string]any) bool {
		kind, _ := answer["type"].(string)
		return status == 503 && strings.HasSuffix(kind, "/store-away")
	}
	p.answers(p.tokens[0], "mallory", "GET", "/holds/"+unseen[0], "", away)
	p.answers(p.tokens[0], "mallory", "POST", "/holds/"+unseen[0]+"/recall", "", away)
	for n := range 16 { // some of their counters are away, and the audit trail of them all might be
		v := newVisitor(p.t)
		v.header.Set("X-Forwarded-For", fmt.Sprintf("198.51.%d.7", n))
		v.header.Set("Authorization", "Bearer rmt_wrong")
		server.Eventually(p.t, fmt.Sprintf("a wrong token from network %d is refused", n), func() bool {
			status, _ := v.get(p.base + "/api/v1/me")
			return status == 401
		})
	}
}
