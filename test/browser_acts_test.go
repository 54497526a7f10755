package test

import (
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/recall-milter/recall-milter/test/browser"
	"github.com/recall-milter/recall-milter/test/server"
)

const withOperator = "operators = [\"boss\"]\n[web.sign_in]\nheader = \"X-User\""

func TestAnOperatorActsOnManyInABrowser(t *testing.T) {
	t.Parallel()
	g := startOffice(t, "1h")
	w := g.withPage(withOperator)
	for _, id := range []string{"one@corp.test", "two@corp.test"} {
		g.message("anna", id, "all@x.test", "carl.with.a.very.long.name@department.partner.test")
	}
	g.message("bert", "other@corp.test")
	b := browser.Open(t)
	b.Header("X-User", "boss")
	b.GoTo(w.base + "/operator/?sender=anna%40corp.test")
	b.Accessible("the search")
	b.Look("operator-search", "320")
	b.Look("operator-search", "1280")
	b.Do("all of them", chromedp.Click(`input[name=which][value=all]`), chromedp.Click(`button[value=recall]`))
	b.Sees("Number of messages: 2")
	b.Accessible("the count")
	b.Look("operator-count", "320")
	b.Look("operator-count", "1280")
	g.message("anna", "three@corp.test") // comes in behind the count
	b.Do("confirm", chromedp.SendKeys("#reason", "the wrong price list"), chromedp.Click(`button[value=recall]`))
	b.Sees("Done: 2.")
	if focus := browser.JS[string](b, `document.activeElement.id`); focus != "outcome" {
		t.Errorf("the focus is at %q, not at the outcome", focus)
	}
	for id, want := range map[string]string{"one@corp.test": "recalled", "two@corp.test": "recalled",
		"three@corp.test": "held", "other@corp.test": "held"} {
		if got := g.state(id); got != want {
			t.Errorf("%s is %s, want %s", id, got, want)
		}
	}
	b.GoTo(w.base + "/operator/audit")
	b.Sees("login boss")
	b.Sees("the wrong price list")
	b.Accessible("the audit trail")
	b.Look("operator-audit", "320")
	b.Look("operator-audit", "1280")
	b.GoTo(w.base + "/operator/health")
	b.Sees("Mail can be held.")
	b.Accessible("the health")
	b.Look("operator-health", "320")
	b.Do("pause", chromedp.Click(`button[value=pause]`))
	b.Sees("Releases are paused since")
	b.Accessible("the health while paused")
	b.Look("operator-paused", "1280")
	b.Do("resume", chromedp.Click(`button[value=resume]`))
	b.Sees("Releases go on.")
}

func TestALateRecallIsWatchedInABrowser(t *testing.T) {
	t.Parallel()
	world := startWorld(t, true)
	w := world.corp.withPage("[web.sign_in]\nheader = \"X-User\"")
	world.sent("watched@corp.test", "bert@far.test")
	server.Eventually(t, "bert has it", func() bool { return len(world.far.folder("bert@far.test", "INBOX")) == 1 })
	world.far.boxes.Stop() // so that the answer comes in while the page is looked at
	b := browser.Open(t)
	b.Header("X-User", "anna")
	b.GoTo(w.base + "/m/" + world.corp.id("watched@corp.test"))
	b.Click("ask")
	b.Sees("The mail systems of the recipients were asked.")
	b.Sees("its mail system was asked to take it back")
	world.far.boxes.Start()
	b.Sees("taken back from the mailbox") // without a click: by an event
	b.Look("retracted", "320")
	b.Look("retracted", "1280")
	if n := len(world.far.folder("bert@far.test", "INBOX")); n != 0 {
		t.Errorf("bert still has %d messages", n)
	}
}

// What the page says is true in each tab, after the back button, when a message leaves meanwhile, and when the store
// does not answer.
func TestThePageSaysWhatIsTrueWhateverTheBrowserHasShown(t *testing.T) {
	t.Parallel()
	g := startOffice(t, "1h")
	w := g.withPage(withOperator)
	g.message("anna", "tabs@corp.test")
	page := w.base + "/m/" + g.id("tabs@corp.test")
	first := browser.Open(t)
	first.Header("X-User", "anna")
	first.GoTo(page)
	first.Sees("Leaves in")
	second := first.Tab()
	second.Header("X-User", "anna")
	second.GoTo(page)
	second.Click("extend 10m0s")
	second.Sees("It waits longer.")
	first.Sees("waits longer") // the timeline of the other tab
	second.Click("recall")
	first.Sees("Undo: let it wait again")
	second.Do("the back button", chromedp.NavigateBack())
	second.Sees("Undo: let it wait again")
	second.Click("restore")
	first.Sees("Send now")
	g.redis.Kill()
	second.Click("recall")
	second.Sees("The message store can't be reached at the moment.")
	second.Look("store-away", "320")
	g.redis.Start()
	server.Eventually(t, "the page answers again", func() bool {
		second.GoTo(page)
		return browser.JS[bool](second, `document.querySelector("button[value=recall]") !== null`)
	})
	if got := g.state("tabs@corp.test"); got != "held" {
		t.Errorf("without a store it became %s", got)
	}
	// The button of a page that is older than the release: whatever is pressed, the page says that it has left.
	browser.JS[bool](second, `(new EventSource("/")).close(); document.querySelector("#message").id = "old"; true`)
	if _, code := g.ctl("release", "tabs@corp.test"); code != 0 {
		t.Fatalf("release: exit %d", code)
	}
	server.Eventually(t, "it has left", func() bool { return g.arrived("tabs@corp.test") == 1 })
	second.Click("recall")
	second.Sees("Too late: it has left, or is being sent.")
	first.GoTo(page)
	first.Sees("Ask the recipients' mail systems to take it back")
}
