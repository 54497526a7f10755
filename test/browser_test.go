package test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/recall-milter/recall-milter/test/server"
)

// browser is a real one, Debian's chromium, without a window.
type browser struct {
	t   *testing.T
	ctx context.Context
}

// openBrowser starts a browser that prefers a language.
func openBrowser(t *testing.T, language string) *browser {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath("/usr/bin/chromium"), chromedp.NoSandbox,
		chromedp.Flag("accept-lang", language), chromedp.Flag("disable-gpu", true))
	allocator, end := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(end)
	tab, closeTab := chromedp.NewContext(allocator)
	t.Cleanup(closeTab)
	return &browser{t, tab}
}

// do does something that must not take longer than half a minute.
func (b *browser) do(what string, actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	for _, a := range actions {
		run(b, what, a)
	}
}

func run[T any](b *browser, what string, action chromedp.Action[T]) T {
	b.t.Helper()
	late := time.AfterFunc(30*time.Second, func() { _ = chromedp.Cancel(b.ctx) })
	defer late.Stop()
	result, err := chromedp.Run(b.ctx, action)
	if err != nil {
		b.t.Fatalf("%s: %v", what, err)
	}
	return result
}

// js returns what an expression gives on the page.
func js[T any](b *browser, expression string) T {
	b.t.Helper()
	return run(b, expression, chromedp.Evaluate[T](expression))
}

// sees waits until the page has a text.
func (b *browser) sees(text string) {
	b.t.Helper()
	server.Eventually(b.t, "the page says "+text, func() bool {
		now, err := chromedp.Run(b.ctx, chromedp.Evaluate[string](`document.body.innerText`))
		return err == nil && strings.Contains(now, text)
	})
}

// picture takes a picture of the whole page, for people to look at, in the folder that SCREENSHOTS names. It fails when
// something is wider than the page.
func (b *browser) picture(name string, width int64) {
	b.t.Helper()
	b.do("a window of another size", chromedp.EmulateViewport(width, 800))
	if wide := js[int64](b, `document.documentElement.scrollWidth`); wide > width {
		b.t.Errorf("%s is %d pixels wide in a window of %d", name, wide, width)
	}
	if folder := os.Getenv("SCREENSHOTS"); folder != "" {
		png := run(b, "a picture", chromedp.FullScreenshot(100))
		if err := os.WriteFile(filepath.Join(folder, name+".png"), png, 0o600); err != nil {
			b.t.Fatal(err)
		}
	}
}

func button(act string) string { return `button[name=act][value="` + act + `"]` }

func TestASenderTakesAMessageBackInABrowser(t *testing.T) {
	g := startOffice(t, "1h", `notice = "always"`)
	w := g.withPage()
	g.message("anna", "browser@corp.test", "bert@x.test", "carl.with.a.very.long.name@department.partner.test")
	link := w.linkIn(g.report("anna", "Waiting until"))
	b := openBrowser(t, "en")
	b.do("open the link", chromedp.Navigate(link))
	b.sees("Leaves in")
	b.picture("hold-320", 320)
	b.picture("hold-1280", 1280)
	b.do("take it back", chromedp.Click(button("recall")))
	b.sees("Taken back. Nobody will get it.")
	if got := g.state("browser@corp.test"); got != "recalled" {
		t.Errorf("after the click it is %q", got)
	}
	if focus := js[string](b, `document.activeElement.id`); focus != "outcome" {
		t.Errorf("the focus is at %q, not at the outcome", focus)
	}
	b.picture("recalled-320", 320)
	b.do("undo", chromedp.Click(button("restore")))
	b.sees("It waits again.")
	b.do("wait longer", chromedp.Click(button("extend 10m0s")))
	b.sees("It waits longer.")
	if _, code := g.ctl("recall", "browser@corp.test"); code != 0 {
		t.Fatalf("recall: exit %d", code)
	}
	b.sees("Undo: let it wait again") // without a click: by an event
	if _, code := g.ctl("restore", "browser@corp.test"); code != 0 {
		t.Fatalf("restore: exit %d", code)
	}
	b.sees("Send now")
	b.do("choose one", chromedp.Click("details summary"), chromedp.Click(`input[value="bert@x.test"]`),
		chromedp.Click(button("recall-some")))
	b.sees("taken back, never sent")
	b.do("send now", chromedp.Click(button("release")))
	server.Eventually(t, "the other recipient gets it", func() bool { return g.arrived("browser@corp.test") == 1 })
	b.sees("Ask the recipients' mail systems to take it back")
	b.picture("sent-1280", 1280)
}
