package test

import (
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/recall-milter/recall-milter/test/server"
)

const withOperator = "operators = [\"boss\"]\n[web.sign_in]\nheader = \"X-User\""

// tab opens a second tab of the same browser.
func (b *browser) tab() *browser {
	ctx, end := chromedp.NewContext(b.ctx)
	b.t.Cleanup(end)
	return &browser{b.t, ctx}
}

// goTo opens an address.
func (b *browser) goTo(address string) {
	b.t.Helper()
	b.do("open "+address, chromedp.Navigate(address))
}

func TestAnOperatorActsOnManyInABrowser(t *testing.T) {
	t.Parallel()
	script := axe(t)
	g := startOffice(t, "1h")
	w := g.withPage(withOperator)
	for _, id := range []string{"one@corp.test", "two@corp.test"} {
		g.message("anna", id, "all@x.test", "carl.with.a.very.long.name@department.partner.test")
	}
	g.message("bert", "other@corp.test")
	b := openBrowser(t, "en")
	b.signInAs("boss")
	b.goTo(w.base + "/operator/?sender=anna%40corp.test")
	b.accessible("the search", script)
	b.picture("operator-search-320", 320)
	b.picture("operator-search-1280", 1280)
	b.do("all of them", chromedp.Click(`input[name=which][value=all]`), chromedp.Click(`button[value=recall]`))
	b.sees("Number of messages: 2")
	b.accessible("the count", script)
	b.picture("operator-count-320", 320)
	b.picture("operator-count-1280", 1280)
	g.message("anna", "three@corp.test") // comes in behind the count
	b.do("confirm", chromedp.SendKeys("#reason", "the wrong price list"), chromedp.Click(`button[value=recall]`))
	b.sees("Done: 2.")
	if focus := js[string](b, `document.activeElement.id`); focus != "outcome" {
		t.Errorf("the focus is at %q, not at the outcome", focus)
	}
	for id, want := range map[string]string{"one@corp.test": "recalled", "two@corp.test": "recalled",
		"three@corp.test": "held", "other@corp.test": "held"} {
		if got := g.state(id); got != want {
			t.Errorf("%s is %s, want %s", id, got, want)
		}
	}
	b.goTo(w.base + "/operator/audit")
	b.sees("login boss")
	b.sees("the wrong price list")
	b.accessible("the audit trail", script)
	b.picture("operator-audit-320", 320)
	b.picture("operator-audit-1280", 1280)
	b.goTo(w.base + "/operator/health")
	b.sees("Mail can be held.")
	b.accessible("the health", script)
	b.picture("operator-health-320", 320)
	b.do("pause", chromedp.Click(`button[value=pause]`))
	b.sees("Releases are paused since")
	b.accessible("the health while paused", script)
	b.picture("operator-paused-1280", 1280)
	b.do("resume", chromedp.Click(`button[value=resume]`))
	b.sees("Releases go on.")
}

func TestALateRecallIsWatchedInABrowser(t *testing.T) {
	t.Parallel()
	world := startWorld(t, true)
	w := world.corp.withPage("[web.sign_in]\nheader = \"X-User\"")
	world.sent("watched@corp.test", "bert@far.test")
	server.Eventually(t, "bert has it", func() bool { return len(world.far.folder("bert@far.test", "INBOX")) == 1 })
	world.far.boxes.Stop() // so that the answer comes in while the page is looked at
	b := openBrowser(t, "en")
	b.signInAs("anna")
	b.goTo(w.base + "/m/" + world.corp.id("watched@corp.test"))
	b.do("ask the other gateway", chromedp.Click(button("ask")))
	b.sees("The mail systems of the recipients were asked.")
	b.sees("its mail system was asked to take it back")
	world.far.boxes.Start()
	b.sees("taken back from the mailbox") // without a click: by an event
	b.picture("retracted-320", 320)
	b.picture("retracted-1280", 1280)
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
	first := openBrowser(t, "en")
	first.signInAs("anna")
	first.goTo(page)
	first.sees("Leaves in")
	second := first.tab()
	second.signInAs("anna")
	second.goTo(page)
	second.do("wait longer", chromedp.Click(button("extend 10m0s")))
	second.sees("It waits longer.")
	first.sees("waits longer") // the timeline of the other tab
	second.do("take it back", chromedp.Click(button("recall")))
	first.sees("Undo: let it wait again")
	second.do("the back button", chromedp.NavigateBack())
	second.sees("Undo: let it wait again")
	second.do("undo", chromedp.Click(button("restore")))
	first.sees("Send now")
	g.redis.Kill()
	second.do("take it back without a store", chromedp.Click(button("recall")))
	second.sees("The message store can't be reached at the moment.")
	second.picture("store-away-320", 320)
	g.redis.Start()
	server.Eventually(t, "the page answers again", func() bool {
		second.goTo(page)
		return js[bool](second, `document.querySelector("button[value=recall]") !== null`)
	})
	if got := g.state("tabs@corp.test"); got != "held" {
		t.Errorf("without a store it became %s", got)
	}
	// The button of a page that is older than the release: whatever is pressed, the page says that it has left.
	js[bool](second, `(new EventSource("/")).close(); document.querySelector("#message").id = "old"; true`)
	if _, code := g.ctl("release", "tabs@corp.test"); code != 0 {
		t.Fatalf("release: exit %d", code)
	}
	server.Eventually(t, "it has left", func() bool { return g.arrived("tabs@corp.test") == 1 })
	second.do("take it back too late", chromedp.Click(button("recall")))
	second.sees("Too late: it has left, or is being sent.")
	first.goTo(page)
	first.sees("Ask the recipients' mail systems to take it back")
}
