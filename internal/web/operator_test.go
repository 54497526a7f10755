package web_test

import (
	"fmt"
	"html"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/mark"
	"github.com/recall-milter/recall-milter/test/server"
)

const withBoss = "operators = [\"boss\"]\n[web.sign_in]\nheader = \"Remote-User\"\n"

func TestThePagesOfOperatorsAreForOperators(t *testing.T) {
	t.Parallel()
	h := open(t, withBoss)
	id := h.ids["of bert"]
	stranger, anna := h.guest(), h.guest("Remote-User", "anna")
	for _, path := range []string{"/operator/", "/operator/audit", "/operator/health",
		"/operator/claw-backs", "/operator/claw-backs?sender=@evil.test", "/operator/claw-backs/" + id,
		"/operator/confirm?act=recall&id=" + id} {
		if code, _, header := stranger.ask("GET", path, ""); code != 303 || header.Get("Location") != "/sign-in" {
			t.Errorf("a stranger at %s: %d", path, code)
		}
		if code, text, _ := anna.ask("GET", path, ""); code != 403 || strings.Contains(text, "bert") {
			t.Errorf("a sender at %s: %d %s", path, code, text)
		}
	}
	for path, form := range map[string]string{"/operator/confirm": "act=recall&ids=" + id,
		"/operator/claw-backs": "sender=@evil.test&goal=trash", "/operator/claw-backs/" + id: "act=undo",
		"/operator/health": "act=pause"} {
		if code, _, _ := stranger.ask("POST", path, form); code != 401 {
			t.Errorf("a stranger posts to %s: %d", path, code)
		}
		if code, _, _ := anna.ask("POST", path, form); code != 403 {
			t.Errorf("a sender posts to %s: %d", path, code)
		}
	}
	if p, err := h.store.Paused(t.Context()); p != nil || err != nil || h.state("of bert") != holdstore.Held {
		t.Errorf("something was changed: %v %v %s", p, err, h.state("of bert"))
	}
	if got := h.trail("web refused", "login anna"); got != 4 {
		t.Errorf("%d of anna's 4 acts are in the audit trail", got)
	}
}

// trail counts the entries of a verb by somebody.
func (h *house) trail(verb, by string) (n int) {
	h.t.Helper()
	for e, err := range h.store.Log(h.t.Context(), time.Time{}, false) {
		if err != nil {
			h.t.Fatal(err)
		}
		if e.Verb == verb && e.By == by {
			n++
		}
	}
	return n
}

var hiddenInput = regexp.MustCompile(`<input type="hidden" name="(ids|back)" value="([^"]*)">`)

// confirmed presses the button of a page that says to how many messages an act would be done.
func (g *guest) confirmed(page, act, reason string) (code int, location string) {
	form := url.Values{"act": {act}, "reason": {reason}}
	for _, m := range hiddenInput.FindAllStringSubmatch(page, -1) {
		form.Set(m[1], html.UnescapeString(m[2]))
	}
	code, _, header := g.ask("POST", "/operator/confirm", form.Encode())
	return code, header.Get("Location")
}

// A report is the gateway's own mail: nobody recalls it, also not by a form with its ID.
func TestNoActOnManyTouchesAMailOfTheGateway(t *testing.T) {
	t.Parallel()
	h := open(t, withBoss)
	boss := h.guest("Remote-User", "boss")
	_, page, _ := boss.ask("GET", "/operator/confirm?act=recall&which=chosen&id="+h.ids["of anna"], "")
	h.hold("a report", "", "postmaster@gw.test", holdstore.OwnMailRule)
	both := h.ids["a report"] + " " + h.ids["of anna"]
	boss.confirmed(strings.ReplaceAll(page, `value="`+h.ids["of anna"], `value="`+both), "recall", "")
	if h.state("a report") != holdstore.Held || h.state("of anna") != holdstore.Recalled {
		t.Errorf("the report is %s, the message %s", h.state("a report"), h.state("of anna"))
	}
	_, page, _ = boss.ask("GET", "/operator/confirm?act=recall&which=chosen&id="+h.ids["a report"], "")
	if strings.Contains(page, "a report") {
		t.Errorf("the form shows a mail of the gateway:\n%s", page)
	}
}

// A search that nobody understands selects nothing, where ignoring it would select everything.
func TestAnActOnManyUnderstandsItsWholeSearch(t *testing.T) {
	t.Parallel()
	boss := open(t, withBoss).guest("Remote-User", "boss")
	for query, want := range map[string]int{"sender=anna%40corp.test&subject=": 200, "sendr=anna%40corp.test": 400,
		"sender=anna%40corp.test&sender=bert%40corp.test": 400} {
		if code, page, _ := boss.ask("GET", "/operator/confirm?act=recall&which=all&"+query, ""); code != want {
			t.Errorf("%s: %d\n%s", query, code, page)
		}
	}
}

// The page that confirms a recall of all says how many of them are being sent.
func TestARecallOfAllSaysWhatIsBeingSent(t *testing.T) {
	t.Parallel()
	h := open(t, withBoss)
	boss := h.guest("Remote-User", "boss")
	page := func(act string) string {
		code, page, _ := boss.ask("GET", "/operator/confirm?act="+act+"&which=all&subject=of+anna", "")
		if code != 200 {
			t.Fatal(code, page)
		}
		return page
	}
	const said = "Being sent at this moment, and left as they are: 1<"
	if strings.Contains(page("recall"), "Being sent at") {
		t.Error("nothing is being sent")
	}
	if _, err := h.store.ClaimOne(t.Context(), h.ids["of anna"], "by hand", holdstore.Actor{By: "x"}); err != nil {
		t.Fatal(err)
	}
	if text := page("recall"); !strings.Contains(text, said) || !strings.Contains(text, "There is no message") {
		t.Errorf("what is being sent is not told:\n%s", text)
	}
	if strings.Contains(page("release"), "Being sent at") {
		t.Error("the page of a release speaks of what is being sent")
	}
}

func TestAnOperatorActsOnExactlyWhatWasCounted(t *testing.T) {
	t.Parallel()
	h := open(t, withBoss)
	boss := h.guest("Remote-User", "boss")
	code, page, _ := boss.ask("GET", "/operator/confirm?act=recall&which=all&sender=%40corp.test&subject=of+*", "")
	if code != 200 || !strings.Contains(page, "Number of messages: 3<") {
		t.Fatalf("the count: %d\n%s", code, page)
	}
	if h.state("of anna") != holdstore.Held {
		t.Error("a look has recalled something")
	}
	h.hold("of carl", "carl", "carl@corp.test", "default") // comes in behind the count
	code, where := boss.confirmed(page, "recall", "phishing")
	if code != 303 {
		t.Fatalf("the act: %d", code)
	}
	for subject, want := range map[string]holdstore.State{"of anna": holdstore.Recalled, "of bert": holdstore.Recalled,
		"of the boss": holdstore.Recalled, "of carl": holdstore.Held, "no login": holdstore.Held} {
		if got := h.state(subject); got != want {
			t.Errorf("%q is %s, want %s", subject, got, want)
		}
	}
	if _, text, _ := boss.ask("GET", where, ""); !strings.Contains(text, "Done: 3.") {
		t.Errorf("the outcome:\n%s", text)
	}
	forged := strings.Replace(where, "recall+3", "recall+4", 1)
	if _, text, _ := boss.ask("GET", forged, ""); strings.Contains(text, "Done:") {
		t.Error("an outcome that nobody signed is shown")
	}
	if got := h.trail("recall", "login boss"); got != 3 {
		t.Errorf("%d of 3 recalls are in the audit trail with their name", got)
	}
	if _, text, _ := boss.ask("GET", "/operator/audit?by=boss&verb=recall", ""); !strings.Contains(text, "phishing") ||
		!strings.Contains(text, h.ids["of bert"]) {
		t.Errorf("the page of the audit trail:\n%s", text)
	}
	_, page, _ = boss.ask("GET", fmt.Sprintf("/operator/confirm?act=restore&which=chosen&id=%s&id=%s",
		h.ids["of bert"], h.ids["no login"]), "")
	if !strings.Contains(page, "Number of messages: 1<") ||
		!strings.Contains(page, "in another state, and left as they are: 1") {
		t.Errorf("what was chosen:\n%s", page)
	}
	boss.confirmed(page, "restore", "")
	if h.state("of bert") != holdstore.Held || h.state("of anna") != holdstore.Recalled {
		t.Error("not exactly what was chosen is restored")
	}
}

func TestEachFilterOfTheSearchSelects(t *testing.T) {
	t.Parallel()
	h := open(t, withBoss)
	boss := h.guest("Remote-User", "boss")
	for query, want := range map[string]string{
		"sender=anna@corp.test": "of anna", "sender=%3Canna@corp.test%3E": "of anna", "login=bert": "of bert",
		"recipient=@far.test": "all", "subject=boss": "of the boss", "client=192.0.2.0/24": "all", "client=192.0.3.1": "",
		"message_id=fixed@corp.test": "fixed", "since=1h": "all", "since=2099-01-01": "", "until=yesterday": "",
		"state=recalled": "", "state=all&login=anna": "of anna", "queue_id=nothing": "", "": "all",
	} {
		code, text, _ := boss.ask("GET", "/operator/?"+query, "")
		for subject, id := range h.ids {
			if shown := strings.Contains(text, id); code != 200 || shown != (want == "all" || want == subject) {
				t.Errorf("%s: %d, %q is shown: %v", query, code, subject, shown)
			}
		}
	}
	for _, query := range []string{"since=soon", "client=x", "state=lost"} {
		if code, _, _ := boss.ask("GET", "/operator/?"+query, ""); code != 400 {
			t.Errorf("%s: %d", query, code)
		}
	}
	if _, text, _ := boss.ask("GET", "/", ""); strings.Contains(text, h.ids["of anna"]) {
		t.Error("somebody else's mail is among the operator's own")
	}
}

func TestAnOperatorPausesAndResumes(t *testing.T) {
	t.Parallel()
	h := open(t, withBoss)
	boss := h.guest("Remote-User", "boss")
	boss.ask("GET", "/operator/health?act=pause", "")
	boss.ask("POST", "/operator/health", "reason=x")
	if p, _ := h.store.Paused(t.Context()); p != nil {
		t.Fatal("without the button, releases are paused")
	}
	_, _, header := boss.ask("POST", "/operator/health", "act=pause&reason=a+wrong+mailing")
	_, paused, _ := boss.ask("GET", header.Get("Location"), "")
	p, err := h.store.Paused(t.Context())
	if err != nil || p == nil || p.By != "login boss" || p.Reason != "a wrong mailing" ||
		!strings.Contains(paused, "Mail can be held.") || !strings.Contains(paused, "by login boss") {
		t.Fatalf("paused: %+v %v\n%s", p, err, paused)
	}
	boss.ask("POST", "/operator/health", "act=resume")
	if p, _ := h.store.Paused(t.Context()); p != nil || h.trail("resume", "login boss") != 1 {
		t.Errorf("resumed: %+v", p)
	}
	h.redis.Kill()
	code, text, _ := boss.ask("GET", "/operator/health", "")
	if code != 200 || !strings.Contains(text, "Mail can&#39;t be held.") {
		t.Errorf("with the store away: %d\n%s", code, text)
	}
}

func TestOnlyAPauseThatChangesSomethingIsLogged(t *testing.T) {
	t.Parallel()
	h := open(t, withBoss)
	h.log = &server.Output{}
	h = h.reopened(withBoss)
	boss := h.guest("Remote-User", "boss")
	for _, form := range []string{"act=pause&reason=x", "act=pause", "act=resume", "act=resume"} {
		if code, _, _ := boss.ask("POST", "/operator/health", form); code != 303 {
			t.Errorf("%s: %d", form, code)
		}
	}
	if pauses, resumes := h.log.Count("pause: by="), h.log.Count("resume: by="); pauses != 1 || resumes != 1 {
		t.Errorf("%d pauses and %d resumes:\n%s", pauses, resumes, h.log)
	}
}

// However long the trail is, one look reads so much of it, and says where the rest begins.
func TestALookAtTheTrailIsBounded(t *testing.T) {
	t.Parallel()
	h := open(t, withBoss)
	boss := h.guest("Remote-User", "boss")
	first := holdstore.Actor{By: "the first"}
	if err := h.store.Audit(t.Context(), "try", "", first, ""); err != nil {
		t.Fatal(err)
	}
	for range 2 { // entries of many messages at one moment, more than two looks
		many := strings.TrimSpace(strings.Repeat("ID ", 60))
		if err := h.store.Audit(t.Context(), "try", many, holdstore.Actor{By: "another"}, ""); err != nil {
			t.Fatal(err)
		}
	}
	path, looks := "/operator/audit?by=the+first&since=2020-01-01", 0
	for ; looks < 10; looks++ {
		code, text, _ := boss.ask("GET", path, "")
		older := regexp.MustCompile(`href="(/operator/audit\?[^"]*)"`).FindStringSubmatch(text)
		if strings.Contains(text, "· the first<") {
			break
		}
		if code != 200 || older == nil || strings.Contains(text, "Nothing in the audit trail matches") {
			t.Fatalf("look %d: %d\n%s", looks, code, text)
		}
		path = html.UnescapeString(older[1])
	}
	if looks < 2 || looks > 4 {
		t.Errorf("found after %d looks", looks)
	}
}

func TestTheSearchGoesOnWhereItsPageEnds(t *testing.T) {
	t.Parallel()
	h := open(t, withBoss)
	boss := h.guest("Remote-User", "boss")
	for n := range 50 {
		h.hold(fmt.Sprint("more ", n), "anna", "anna@corp.test", "default")
	}
	_, first, _ := boss.ask("GET", "/operator/?sender=@corp.test", "")
	older := regexp.MustCompile(`href="(/operator/\?[^"]*cursor[^"]*)"`).FindStringSubmatch(first)
	if older == nil {
		t.Fatalf("no link to older messages:\n%s", first)
	}
	_, second, _ := boss.ask("GET", html.UnescapeString(older[1]), "")
	for subject, id := range h.ids {
		if strings.Contains(first, id) == strings.Contains(second, id) {
			t.Errorf("%q is on both pages, or on none", subject)
		}
	}
}

// With the store away an operator sees what is away, also with the proof of a session; others hear only that it is.
func TestWithTheStoreAwayOperatorsSeeWhatIsAway(t *testing.T) {
	t.Parallel()
	h := open(t, "operators = [\"relay@corp.test\"]\n")
	n := 0
	signIn := func(address string) *guest {
		n++
		signed, _ := h.marker.Sign(mark.SignIn,
			encode(fmt.Sprintf(`{"i":"%d","a":%q,"e":"2099-01-01T00:00:00Z"}`, n, address)))
		g := h.guest()
		g.ask("POST", "/s/"+signed, "act=sign-in")
		return g
	}
	boss, bert := signIn("relay@corp.test"), signIn("bert@corp.test")
	if code, text, _ := h.guest().ask("GET", "/readyz", ""); code != 200 || text != "ready\n" {
		t.Errorf("while it is there: %d %q", code, text)
	}
	h.redis.Kill()
	if code, text, _ := boss.ask("GET", "/operator/health", ""); code != 200 || !strings.Contains(text, h.redis.Addr) {
		t.Errorf("an operator: %d\n%s", code, text)
	}
	for _, path := range []string{"/operator/", "/operator/audit"} {
		if code, _, _ := boss.ask("GET", path, ""); code != 503 {
			t.Errorf("an operator at %s: %d", path, code)
		}
	}
	if code, _, _ := boss.ask("POST", "/operator/health", "act=pause"); code != 503 {
		t.Errorf("a pause: %d", code)
	}
	forged := h.guest("Cookie", "recall=x")
	for who, g := range map[string]*guest{"a sender": bert, "a stranger": h.guest(), "a forged session": forged} {
		for _, path := range []string{"/operator/health", "/readyz"} {
			code, text, _ := g.ask("GET", path, "")
			if code != 503 && code != 303 || strings.Contains(text, h.redis.Addr) || strings.Contains(text, "connection") {
				t.Errorf("%s at %s: %d %s", who, path, code, text)
			}
		}
	}
}
