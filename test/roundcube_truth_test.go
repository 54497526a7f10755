package test

import (
	"bytes"
	"net/smtp"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/recall-milter/recall-milter/test/browser"
	"github.com/recall-milter/recall-milter/test/server"
)

// TestALateUndoAsksTheRecipientsInRoundcube presses Undo on a page that does not know yet that the message has left.
func TestALateUndoAsksTheRecipientsInRoundcube(t *testing.T) {
	needsRoundcube(t)
	world := startWorld(t, true)
	world.corp.boxes = server.StartMailboxes(t)
	world.corp.change(`grace = "1s"`, `grace = "1h"`)
	m := openWebmail(world.corp, "")
	b := m.signIn("anna", "en")
	id := m.sends(b, "late", "bert@far.test")
	stale(b)
	if _, code := m.ctl("release", id); code != 0 {
		t.Fatalf("release: exit %d", code)
	}
	inbox := func() int { return len(world.far.folder("bert@far.test", "INBOX")) }
	server.Eventually(t, "bert has it", func() bool { return inbox() == 1 })
	bar(b, "recall")
	b.Sees("Too late: the message has left, or is being sent.")
	if sent := m.folder("anna", "Sent"); len(sent) != 1 {
		t.Errorf("%d are in Sent, and the message was sent", len(sent))
	}
	b.Picture("roundcube-late")
	bar(b, "ask")
	b.Sees("The mail systems of the recipients were asked to take it back.")
	b.GoTo(m.URL)
	b.Sees("taken back from the mailbox")
	if n := inbox(); n != 0 {
		t.Errorf("bert still has %d messages", n)
	}
	b.Picture("roundcube-asked")
	bar(b, "dismiss")
	b.Until("the bar is gone", `document.querySelector("#recall-milter").hidden`)
}

func TestWithoutAnAPIMailIsSentAsEverInRoundcube(t *testing.T) {
	m := startWebmail(t)
	m.api.To("")
	b := m.signIn("anna", "en")
	m.compose(b, "away", "b@x.test")
	m.press(b)
	const asked = `performance.getEntriesByType("resource").some(e =>
		e.name.includes("recall_milter.status") && e.responseEnd)`
	b.Until("the page has asked", asked)
	sent := m.folder("anna", "Sent")
	if len(sent) != 1 || m.gateway.state(sent[0]) != "held" {
		t.Errorf("without an API, %d are in Sent", len(sent))
	}
	if browser.JS[bool](b, `!document.querySelector("#recall-milter").hidden`) {
		t.Error("a bar says something that nobody knows")
	}
	b.GoTo(m.URL + "/?_task=mail&_action=plugin.recall_milter.waiting")
	b.Sees("The mail gateway can't be reached at the moment")
	m.back()
	b.Sees("Message waits") // in the list, once the API answers again
	b.GoTo(m.URL)
	b.Sees("Message waits")
	m.api.To("")
	bar(b, "recall")
	b.Sees("The mail gateway gave no answer. The message might still be sent.")
	b.Picture("roundcube-away")
	if got := m.state(sent[0]); got != "held" {
		t.Errorf("it is %q", got)
	}
	m.back()
	bar(b, "recall")
	m.composing(b)
	if got := m.state(sent[0]); got != "recalled" {
		t.Errorf("after Undo it is %q", got)
	}
}

func TestAllTabsSayTheSameInRoundcube(t *testing.T) {
	m := startWebmail(t)
	first := m.signIn("anna", "en")
	second := first.Tab()
	second.GoTo(m.URL)
	second.Until("the list is there", list)
	id := m.sends(first, "tabs", "b@x.test")
	second.Sees("Message waits") // without a page load
	stale(second)
	bar(first, "recall")
	m.composing(first)
	bar(second, "recall")
	m.composing(second)
	second.Sees("Taken back. Nobody will get it.")
	if drafts := m.folder("anna", "Drafts"); len(drafts) != 1 || m.state(id) != "recalled" {
		t.Errorf("two tabs made %d drafts", len(drafts))
	}
}

func TestNobodyTouchesAnothersMessageInRoundcube(t *testing.T) {
	m := startWebmail(t)
	anna, bert := m.signIn("anna", "en"), m.signIn("bert", "en")
	id := m.sends(anna, "of-anna", "b@x.test")
	for _, act := range []string{"recall", "release", "ask", "restore"} {
		browser.JS[bool](bert, `rcmail.http_post("plugin.recall_milter.act", {_act: "`+act+`", _message_id: "`+id+`"}) !== 0`)
		bert.Sees("does not know this message, or it is not yours")
		browser.JS[bool](bert, `rcmail.clear_messages(), true`)
	}
	bert.GoTo(m.URL + "/?_task=mail&_action=plugin.recall_milter.waiting")
	bert.Sees("No message of yours is waiting.")
	// Another site's form has no request token, and a link is no POST.
	const action = `"?_task=mail&_action=plugin.recall_milter.act&_remote=1"`
	for _, request := range []string{`fetch(` + action + `+ "&_act=recall&_message_id=" + encodeURIComponent(id))`,
		`fetch(` + action + `, {method: "POST", body: new URLSearchParams({_act: "recall", _message_id: id})})`} {
		browser.JS[bool](anna, `window.over = false; (id => `+request+`)("`+id+`").then(r => r.text()).
			then(() => over = true); true`)
		anna.Until("the request is answered", `over`)
		if got := m.state(id); got != "held" {
			t.Errorf("%s made it %q", request, got)
		}
	}
	// All that a browser gets: pages, scripts, answers.
	browser.JS[bool](anna, `Promise.all([...performance.getEntriesByType("resource").map(e => e.name), location.href]
		.map(u => fetch(u).then(r => r.text()))).then(all => window.all = all.join("\n") +
		JSON.stringify(rcmail.env)), true`)
	anna.Until("all is loaded again", `window.all !== undefined`)
	if all := browser.JS[string](anna, `all`); strings.Contains(all, m.token) || !strings.Contains(all, id) {
		t.Error("the token is in a browser")
	}
}

func TestASplitMessageHasOneBarInRoundcube(t *testing.T) {
	m := startWebmail(t)
	b := m.signIn("anna", "en")
	again := func(id, to string) { // the other envelope
		m.mustSubmit("anna", []string{to}, "Subject: the price list\r\nMessage-ID: "+id+"\r\n", "body of split\r\n")
	}
	id := m.sends(b, "split", "b@x.test")
	again(id, "hidden@y.test")
	bar(b, "recall")
	m.composing(b)
	out, _ := m.ctl("--json", "list", "--message-id", id, "--state", "recalled")
	if strings.Count(out, `"state":"recalled"`) != 2 {
		t.Errorf("not both were taken back:\n%s", out)
	}
	b.GoTo("about:blank") // leaves the draft
	id = m.sends(b, "half", "b@x.test")
	again(id, "hidden@y.test")
	b.GoTo(m.URL)
	b.Sees("Message waits")
	if n := browser.JS[int](b, `document.querySelectorAll(".recall-row").length`); n != 2 { // the first says: taken back
		t.Errorf("%d bars for a message of two envelopes, and another", n)
	}
	stale(b)
	out, _ = m.ctl("--json", "list", "--recipient", "b@x.test", "--state", "held")
	_, rest, _ := strings.Cut(out, `"id":"`)
	hold, _, _ := strings.Cut(rest, `"`)
	if _, code := m.ctl("release", hold); code != 0 {
		t.Fatalf("release: exit %d", code)
	}
	server.Eventually(t, "one of two has it", func() bool { return m.arrived("half") == 1 })
	bar(b, "recall")
	b.Sees("Taken back for some recipients. For the others it was too late.")
	b.Sees("hidden@y.test: taken back, never sent")
	b.Sees("b@x.test: sent")
	b.Picture("roundcube-partly")
	bar(b, "ask")
	b.Sees("The mail systems of the recipients were asked to take it back.")
	if sent := m.folder("anna", "Sent"); len(sent) != 1 {
		t.Errorf("%d are in Sent: some have got it", len(sent))
	}
}

// TestWhatWasSentElsewhereIsListedInRoundcube takes back a message that Roundcube has no copy of.
func TestWhatWasSentElsewhereIsListedInRoundcube(t *testing.T) {
	m := startWebmail(t, `$config['no_save_sent_messages'] = true;`)
	text := "From: anna@corp.test\r\nTo: b@x.test\r\nSubject: by another program\r\nMessage-ID: <else@corp.test>\r\n" +
		"Date: Tue, 24 Nov 2026 09:00:00 +0000\r\n\r\nbody of else\r\n"
	m.submitted("mail with a blind copy", func() error {
		return smtp.SendMail(m.mta.smtp, smtp.PlainAuth("", "anna", server.Password, "127.0.0.1"), "anna@corp.test",
			[]string{"b@x.test", "hidden@y.test"}, []byte(text))
	})
	m.message("bert", "of-bert@corp.test")
	b := m.signIn("anna", "en")
	b.Window(1280, 800, 1)
	b.Until("the folder has a number", `document.querySelector("#recall-folder .unreadcount")?.innerText === "1"`)
	b.Do("open the list", chromedp.Click("#recall-folder a"))
	b.Sees("by another program")
	b.Sees("hidden@y.test: waiting")
	b.AccessibleIn("#layout-content", "the list")
	bar(b, "recall")
	m.composing(b)
	got := browser.JS[string](b, `["_to", "_bcc", "compose-subject", "composebody"].map(id =>
		document.getElementById(id).value.trim().replace(/,$/, "")).join("|")`)
	if got != "b@x.test|hidden@y.test|by another program|body of else" {
		t.Errorf("the draft: %s", got)
	}
}

func TestWhatCantBeEditedWaitsAgainInRoundcube(t *testing.T) {
	m := startWebmailAnd(t, "preview = false", `$config['no_save_sent_messages'] = true;`)
	b := m.signIn("anna", "en")
	id := m.sends(b, "lost", "b@x.test")
	bar(b, "recall")
	b.Sees("No copy of it can be edited.")
	bar(b, "restore")
	b.Sees("Message waits")
	if got := m.state(id); got != "held" {
		t.Errorf("it is %q", got)
	}
}

// TestAnybodysServerProvesNobodyInRoundcube lets people choose the IMAP server: whoever has one could sign in as anna.
func TestAnybodysServerProvesNobodyInRoundcube(t *testing.T) {
	m := startWebmail(t, `$config['imap_host'] = [$config['imap_host'] => 'ours', '127.0.0.2:143' => 'theirs'];`)
	b := m.signIn("anna", "en")
	if browser.JS[bool](b, `"recall_milter" in rcmail.env`) {
		t.Error("the plugin believes any server")
	}
	file := filepath.Join(m.Dir, "config/recall_milter.inc.php")
	text, err := os.ReadFile(file)
	m.must(err)
	m.must(os.WriteFile(file, bytes.Replace(text, []byte("_hosts'] = []"), []byte("_hosts'] = ['127.0.0.1']"), 1), 0o600))
	server.Eventually(t, "the plugin believes ours", func() bool { // PHP reads a changed file after two seconds
		b.GoTo(m.URL)
		return browser.JS[bool](b, `"recall_milter" in rcmail.env`)
	})
}
