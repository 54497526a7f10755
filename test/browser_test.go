package test

import (
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/recall-milter/recall-milter/test/browser"
	"github.com/recall-milter/recall-milter/test/server"
)

func TestASenderTakesAMessageBackInABrowser(t *testing.T) {
	t.Parallel()
	g := startOffice(t, "1h", `notice = "always"`)
	w := g.withPage()
	g.message("anna", "browser@corp.test", "bert@x.test", "carl.with.a.very.long.name@department.partner.test")
	link := w.linkIn(g.report("anna", "Waiting until"))
	b := browser.Open(t)
	b.Do("open the link", chromedp.Navigate(link))
	b.Sees("Leaves in")
	b.Look("hold", "320")
	b.Look("hold", "1280")
	b.Click("recall")
	b.Sees("Taken back. Nobody will get it.")
	if got := g.state("browser@corp.test"); got != "recalled" {
		t.Errorf("after the click it is %q", got)
	}
	if focus := browser.JS[string](b, `document.activeElement.id`); focus != "outcome" {
		t.Errorf("the focus is at %q, not at the outcome", focus)
	}
	b.Look("recalled", "320")
	b.Click("restore")
	b.Sees("It waits again.")
	b.Click("extend 10m0s")
	b.Sees("It waits longer.")
	if _, code := g.ctl("recall", "browser@corp.test"); code != 0 {
		t.Fatalf("recall: exit %d", code)
	}
	b.Sees("Nobody else gets it.") // without a click: by an event
	if _, code := g.ctl("restore", "browser@corp.test"); code != 0 {
		t.Fatalf("restore: exit %d", code)
	}
	b.Sees("Send now")
	b.Do("choose one", chromedp.Click("details summary"), chromedp.Click(`input[value="bert@x.test"]`),
		chromedp.Click(browser.Button("recall-some")))
	b.Sees("taken back, never sent")
	b.Click("release")
	server.Eventually(t, "the other recipient gets it", func() bool { return g.arrived("browser@corp.test") == 1 })
	b.Sees("Ask the recipients' mail systems to take it back")
	b.Look("sent", "1280")
}
