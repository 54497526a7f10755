package web_test

import (
	"html"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/clawback"
	"github.com/recall-milter/recall-milter/internal/mailbox"
	"github.com/recall-milter/recall-milter/test/browser"
)

const clawPath = "/operator/claw-backs"

var clawHidden = regexp.MustCompile(`<input type="hidden" name="([a-z_]+)" value="([^"]*)">`)

// bait lets a message come in for two people, and another with its Message-ID for a third.
func (h *house) bait() {
	h.t.Helper()
	h.cameIn("<bait@evil.test>", "your account", "1", "anna@corp.test", "bert@corp.test")
	h.cameIn("<bait@evil.test>", "your account", "2", "carl@corp.test")
	h.cameIn("<lunch@corp.test>", "lunch", "3", "anna@corp.test")
}

// clawed presses the button of a page that has counted what came in.
func (g *guest) clawed(page string, more url.Values) (code int, text, location string) {
	form := url.Values{"goal": {"trash"}}
	for _, m := range clawHidden.FindAllStringSubmatch(page, -1) {
		form.Set(m[1], html.UnescapeString(m[2]))
	}
	for name, values := range more {
		form[name] = values
	}
	code, text, header := g.ask("POST", clawPath, form.Encode())
	return code, text, header.Get("Location")
}

// ends writes what came of a mailbox, as a daemon does.
func (h *house) ends(location string, n int, r mailbox.Clawed) (id string) {
	h.t.Helper()
	id, _, _ = strings.Cut(strings.TrimPrefix(location, clawPath+"/"), "?")
	err := h.store.EndClaw(h.t.Context(), id, n, r.Outcome, r, false, time.Hour, holdstore.Entry{Verb: "x"})
	if err != nil {
		h.t.Fatal(err)
	}
	return id
}

// moved is a message that was taken out.
var moved = mailbox.Clawed{Outcome: mailbox.Moved, Detail: "unread",
	Copies: []mailbox.Copy{{Folder: "INBOX", ID: "1/1", To: "Trash", Now: "1/2"}}}

// targets lists the mailboxes of a claw back.
func (h *house) targets(id string) string {
	h.t.Helper()
	c, err := h.store.ClawBack(h.t.Context(), id)
	if err != nil {
		h.t.Fatal(err)
	}
	var all []string
	err = clawback.Outcomes(h.t.Context(), h.store, c, func(o clawback.Outcome) error {
		all = append(all, o.Mailbox.Recipient+o.Mailbox.Header)
		return nil
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return strings.Join(all, " ")
}

// An operator sees how many there are, orders exactly these, sees what comes of each, and has them moved back.
func TestAnOperatorClawsBackOnThePage(t *testing.T) {
	t.Parallel()
	h := open(t, withBoss+mailboxTable)
	h.bait()
	boss := h.guest("Remote-User", "boss")
	code, page, _ := boss.ask("GET", clawPath+"?subject=account", "")
	for _, want := range []string{"Messages: 1. Mailboxes: 2.", "another content or author", "Mailboxes: 1",
		"mallory@evil.test"} {
		if code != 200 || !strings.Contains(page, want) {
			t.Errorf("%q is missing: %d\n%s", want, code, page)
		}
	}
	if strings.Contains(page, "lunch") {
		t.Error("what does not match is shown")
	}
	h.cameIn("<later@evil.test>", "your account", "4", "dora@corp.test") // behind the count
	code, text, where := boss.clawed(page, url.Values{"reason": {"phish"}})
	if code != 303 {
		t.Fatalf("the order: %d\n%s", code, text)
	}
	id := h.ends(where, 0, moved)
	if got := h.targets(id); got != "anna@corp.test1 bert@corp.test1" {
		t.Errorf("ordered for %s", got)
	}
	_, text, _ = boss.ask("GET", where, "")
	for _, want := range []string{"Ordered. What comes of it", "Mailboxes done: 1 of 2", `<q>phish</q>`, "login boss",
		`<span class="result moved">moved</span>`, `<span class="result pending">`, "data-soon", "Refresh"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing:\n%s", want, text)
		}
	}
	h.ends(where, 1, mailbox.Clawed{Outcome: mailbox.NotFound})
	_, text, _ = boss.ask("GET", clawPath+"/"+id, "")
	if !strings.Contains(text, "Done. Mailboxes: 2") || strings.Contains(text, "data-soon") {
		t.Errorf("at its end:\n%s", text)
	}
	code, _, header := boss.ask("POST", clawPath+"/"+id, "act=undo&reason=a+mistake")
	undo, _, _ := strings.Cut(strings.TrimPrefix(header.Get("Location"), clawPath+"/"), "?")
	if code != 303 || h.targets(undo) != "anna@corp.test1" {
		t.Errorf("the undo: %d, %s", code, h.targets(undo))
	}
	if _, text, _ = boss.ask("GET", clawPath, ""); !strings.Contains(text, undo) || !strings.Contains(text, id) {
		t.Errorf("the list of claw backs:\n%s", text)
	}
	if h.trail(clawback.VerbTake, "login boss") != 1 || h.trail(clawback.VerbBack, "login boss") != 1 {
		t.Error("the trail does not name who ordered it, and who undid it")
	}
}

// Who sees a mistake stops the claw back on its page at once, also before it has moved anything.
func TestAClawBackIsStoppedOnThePageFromTheStart(t *testing.T) {
	t.Parallel()
	h := open(t, withBoss+mailboxTable)
	h.bait()
	boss := h.guest("Remote-User", "boss")
	_, page, _ := boss.ask("GET", clawPath+"?subject=account", "")
	_, _, where := boss.clawed(page, nil)
	path, _, _ := strings.Cut(where, "?")
	offers := func(want string) {
		t.Helper()
		_, text, _ := boss.ask("GET", path, "")
		button := regexp.MustCompile(`<button id="undo"[^>]*>([^<]*)<`).FindStringSubmatch(text)
		if got := strings.Join(button[min(1, len(button)):], ""); got != want {
			t.Errorf("the page offers %q, want %q", got, want)
		}
	}
	offers("Stop, and move messages back")
	code, text, header := boss.ask("POST", path, "act=undo&reason=a+mistake")
	if code != 303 || header.Get("Location") != path+"?did=stopped#outcome" {
		t.Errorf("the stop: %d %s\n%s", code, header.Get("Location"), text)
	}
	id := strings.TrimPrefix(path, clawPath+"/")
	if c, err := h.store.ClawBack(t.Context(), id); err != nil || !c.Stopped {
		t.Errorf("%+v, %v", c, err)
	}
	if _, text, _ = boss.ask("GET", header.Get("Location"), ""); !strings.Contains(text, "Stopped. Nothing was moved") {
		t.Errorf("the page does not say that it is stopped:\n%s", text)
	}
	offers("")
	h.ends(where, 0, moved) // it was being moved
	offers("Move the messages back")
}

// What is apart is taken when it is asked for, and where messages go is what was chosen.
func TestAClawBackOnThePageDoesWhatWasChosen(t *testing.T) {
	t.Parallel()
	h := open(t, withBoss+mailboxTable)
	h.bait()
	boss := h.guest("Remote-User", "boss")
	for _, c := range []struct {
		name  string
		chose url.Values
		want  clawback.Order
		boxes string
	}{
		{"apart", url.Values{"apart": {"yes"}}, clawback.Order{}, "anna@corp.test1 bert@corp.test1 carl@corp.test2"},
		{"folder", url.Values{"goal": {"folder"}, "folder": {" Quarantine "}}, clawback.Order{Folder: "Quarantine"}, ""},
		{"delete", url.Values{"goal": {"delete"}, "folder": {"ignored"}}, clawback.Order{Delete: true}, ""},
		{"dry run", url.Values{"dry_run": {"yes"}}, clawback.Order{DryRun: true}, ""},
	} {
		_, page, _ := boss.ask("GET", clawPath+"?message_id=bait@evil.test&sender=mallory@evil.test&since=1h", "")
		code, text, where := boss.clawed(page, c.chose)
		if code != 303 {
			t.Errorf("%s: %d\n%s", c.name, code, text)
			continue
		}
		id, _, _ := strings.Cut(strings.TrimPrefix(where, clawPath+"/"), "?")
		head, err := h.store.ClawBack(t.Context(), id)
		var o clawback.Order
		if err != nil || head.Read(&o) != nil {
			t.Fatal(err)
		}
		if o.By, o.From = "", ""; o != c.want {
			t.Errorf("%s: %+v", c.name, o)
		}
		if c.boxes != "" && h.targets(id) != c.boxes {
			t.Errorf("%s: %s", c.name, h.targets(id))
		}
	}
}

// Nothing is ordered that was not counted, and nothing that makes no sense.
func TestNothingIsClawedBackThatWasNotCounted(t *testing.T) {
	t.Parallel()
	h := open(t, withBoss+mailboxTable)
	h.bait()
	boss := h.guest("Remote-User", "boss")
	_, page, _ := boss.ask("GET", clawPath+"?subject=account", "")
	for _, c := range []struct {
		name string
		form url.Values
		code int
		says string
	}{
		{"not counted", url.Values{"seen": {""}}, 409, "other messages match"},
		{"another search", url.Values{"subject": {"lunch"}}, 409, "Messages: 1. Mailboxes: 1."},
		{"no filter", url.Values{"subject": {""}, "until": {""}}, 400, "at least one"},
		{"no folder", url.Values{"goal": {"folder"}, "folder": {" "}}, 422, "give the name of a folder"},
		{"no goal", url.Values{"goal": {"elsewhere"}}, 400, ""},
		{"a long folder", url.Values{"goal": {"folder"}, "folder": {strings.Repeat("a", 501)}}, 422, ""},
		{"a long reason", url.Values{"reason": {strings.Repeat("a", 1001)}}, 422, ""},
		{"a wrong time", url.Values{"since": {"soon"}}, 400, ""},
	} {
		code, text, _ := boss.clawed(page, c.form)
		if code != c.code || !strings.Contains(text, c.says) {
			t.Errorf("%s: %d, want %d and %q\n%s", c.name, code, c.code, c.says, text)
		}
	}
	foreign := h.guest("Remote-User", "boss", "Sec-Fetch-Site", "cross-site", "Origin", "https://evil.test")
	if code, _, _ := foreign.clawed(page, nil); code != 403 {
		t.Errorf("from another site: %d", code)
	}
	for path, want := range map[string]int{clawPath + "?since=soon": 400, clawPath + "/NONE": 404} {
		if code, _, _ := boss.ask("GET", path, ""); code != want {
			t.Errorf("%s: %d, want %d", path, code, want)
		}
	}
	if code, _, _ := boss.ask("POST", clawPath+"/NONE", "act=undo"); code != 404 {
		t.Errorf("an undo of nothing: %d", code)
	}
	if all, err := h.store.ClawBacks(t.Context(), 10); err != nil || len(all) != 0 {
		t.Errorf("something was ordered: %v %v", all, err)
	}
	none := h.reopened(withBoss)
	_, text, _ := none.guest("Remote-User", "boss").ask("GET", clawPath+"?subject=account", "")
	if !strings.Contains(text, "No mailbox can be reached") || strings.Contains(text, `name="seen"`) {
		t.Errorf("without [inbound.mailbox]:\n%s", text)
	}
	if code, _, _ := none.guest("Remote-User", "boss").clawed(page, nil); code != 409 {
		t.Errorf("an order without [inbound.mailbox]: %d", code)
	}
}

// The page of a claw back shows many mailboxes in parts.
func TestThePageOfAClawBackIsBounded(t *testing.T) {
	t.Parallel()
	h := open(t, withBoss+mailboxTable)
	h.cameIn("<many@evil.test>", "many", "1", crowd(250)...)
	boss := h.guest("Remote-User", "boss")
	_, page, _ := boss.ask("GET", clawPath+"?subject=many", "")
	_, _, where := boss.clawed(page, nil)
	id := h.ends(where, 249, moved)
	seen, path := map[string]bool{}, clawPath+"/"+id
	for range 3 {
		_, text, _ := boss.ask("GET", path, "")
		if !strings.Contains(text, "<dt>moved</dt><dd>1</dd>") || !strings.Contains(text, "<dd>249</dd>") {
			t.Errorf("the counts:\n%.2000s", text)
		}
		all := regexp.MustCompile(`person\.number\.\d+@`).FindAllString(text, -1)
		if len(all) > 100 {
			t.Errorf("%d mailboxes at once", len(all))
		}
		for _, one := range all {
			seen[one] = true
		}
		links := regexp.MustCompile(`href="([^"]*)#mailboxes"`).FindAllStringSubmatch(text, -1)
		if len(links) > 0 {
			path = html.UnescapeString(links[len(links)-1][1])
		}
	}
	if len(seen) != 250 {
		t.Errorf("%d of 250 mailboxes are shown", len(seen))
	}
}

// By keys alone, and the page shows by itself what comes of it.
func TestAClawBackNeedsNoMouse(t *testing.T) {
	t.Parallel()
	h := open(t, withBoss+mailboxTable)
	h.bait()
	b := browser.Open(t)
	b.Header("Remote-User", "boss")
	b.GoTo(h.url + clawPath)
	b.TabTo("#subject")
	b.Keys("account\r")
	b.Sees("Messages: 1. Mailboxes: 2.")
	b.TabTo("#take-apart")
	b.Keys(" ")
	b.TabTo("#reason")
	b.Keys("phish")
	enter(b, "#take")
	b.Sees("Mailboxes done: 0 of 3")
	focused(b, "#outcome")
	where := browser.JS[string](b, `location.pathname`)
	b.TabTo("#reason")
	b.Keys("not phish")
	for n := range 3 {
		h.ends(where, n, moved)
	}
	b.Sees("Done. Mailboxes: 3")
	b.Sees("Move the messages back")
	focused(b, "#reason")
	b.Until("what was typed stays", `document.getElementById("reason").value === "not phish"`)
	b.Until("it is announced", `document.getElementById("told").textContent.includes("Done. Mailboxes: 3")`)
	enter(b, "#undo")
	b.Sees("Mailboxes done: 0 of 3")
	if h.trail(clawback.VerbBack, "login boss") != 1 {
		t.Error("the undo is not in the trail")
	}
	b.Scripts(false)
	b.GoTo(h.url + where)
	b.Sees("Done. Mailboxes: 3")
	b.Click("undo")
	b.Sees("Mailboxes done: 0 of 3")
	b.Sees("Refresh")
}

// clawSights makes claw backs in every state, and returns the pages that show them.
func (h *house) clawSights() []sight {
	h.t.Helper()
	h.bait()
	h.cameIn("<long@evil.test>", longSubject, "5", crowd(30)...)
	boss := h.guest("Remote-User", "boss")
	_, page, _ := boss.ask("GET", clawPath+"?recipient=*@department.partner.test", "")
	_, _, running := boss.clawed(page, url.Values{"goal": {"folder"}, "folder": {"Quarantine"}, "reason": {"phish"}})
	h.ends(running, 3, mailbox.Clawed{Outcome: mailbox.Refused, Detail: "the mailbox could not be reached"})
	_, page, _ = boss.ask("GET", clawPath+"?subject=account", "")
	_, _, ended := boss.clawed(page, nil)
	h.ends(ended, 0, moved)
	h.ends(ended, 1, mailbox.Clawed{Outcome: mailbox.NotFound})
	return []sight{{"claw-backs", "boss", clawPath}, {"claw-count", "boss", clawPath + "?sender=@evil.test"},
		{"claw-none", "boss", clawPath + "?subject=nothing"}, {"claw-wrong", "boss", clawPath + "?since=soon"},
		{"claw-running", "boss", running}, {"claw-ended", "boss", ended}}
}
