// Package browser drives a real browser, Debian's chromium, without a window, for tests of the page.
package browser

import (
	"context"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"github.com/recall-milter/recall-milter/test/server"
)

// Browser is one tab of a browser. What it can't do fails the test.
type Browser struct {
	t      testing.TB
	ctx    context.Context
	header network.Headers // of each request
}

// process is the browser that the tests of a program share: each has a window of its own there, with its own cookies.
// It ends with the last of the tests that use it.
var process struct {
	mu    sync.Mutex
	users int
	ctx   context.Context
	end   func()
}

// Open opens a window of a browser, which starts where none runs.
func Open(t testing.TB) *Browser {
	t.Helper()
	ctx := enter(t)
	window, closeWindow := chromedp.NewContext(ctx, chromedp.WithNewBrowserContext())
	t.Cleanup(closeWindow)
	return newTab(t, window)
}

// newTab is a tab that works as if it were the only one: it has the focus.
func newTab(t testing.TB, ctx context.Context) *Browser {
	b := &Browser{t, ctx, network.Headers{}}
	set(b, emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true})
	return b
}

// enter returns the browser's context, and leaves it at the end of the test.
func enter(t testing.TB) context.Context {
	t.Helper()
	process.mu.Lock()
	defer process.mu.Unlock()
	if process.users == 0 {
		options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath("/usr/bin/chromium"),
			chromedp.NoSandbox, chromedp.Flag("accept-lang", "en"), chromedp.Flag("disable-gpu", true))
		allocator, end := chromedp.NewExecAllocator(context.Background(), options...)
		first, closeFirst := chromedp.NewContext(allocator)
		process.ctx, process.end = first, func() { closeFirst(); end() }
		if err := chromedp.Do(first); err != nil {
			process.end()
			t.Fatalf("the browser does not start: %v", err)
		}
	}
	process.users++
	t.Cleanup(func() {
		process.mu.Lock()
		defer process.mu.Unlock()
		if process.users--; process.users == 0 {
			process.end()
		}
	})
	return process.ctx
}

// Tab opens a second tab, which shares the cookies.
func (b *Browser) Tab() *Browser {
	b.t.Helper()
	ctx, end := chromedp.NewContext(b.ctx)
	b.t.Cleanup(end)
	return newTab(b.t, ctx)
}

// Do does something that must not take longer than half a minute.
func (b *Browser) Do(what string, actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	for _, a := range actions {
		run(b, what, a)
	}
}

func run[T any](b *Browser, what string, action chromedp.Action[T]) T {
	b.t.Helper()
	late := time.AfterFunc(30*time.Second, func() { _ = chromedp.Cancel(b.ctx) })
	defer late.Stop()
	result, err := chromedp.Run(b.ctx, action)
	if err != nil {
		b.t.Fatalf("%s: %v", what, err)
	}
	return result
}

// set sends a command of the DevTools protocol that has no answer.
func set[P any](b *Browser, command cdp.Command[P, cdp.Empty], parameters P) {
	b.t.Helper()
	b.Do(command.Method, func(ctx context.Context, t *chromedp.Target) (v chromedp.Void, err error) {
		_, err = cdp.Call(ctx, t, command, parameters)
		return v, err
	})
}

// JS returns what an expression gives on the page.
func JS[T any](b *Browser, expression string) T {
	b.t.Helper()
	return run(b, expression, chromedp.Evaluate[T](expression))
}

// GoTo opens an address.
func (b *Browser) GoTo(address string) {
	b.t.Helper()
	b.Do("open "+address, chromedp.Navigate(address))
}

// Sees waits until the page has a text.
func (b *Browser) Sees(text string) {
	b.t.Helper()
	b.Until("the page says "+text, `document.body.innerText.includes(`+strconv.Quote(text)+`)`)
}

// Until waits until an expression is true on the page, also while the page changes to another.
func (b *Browser) Until(what, expression string) {
	b.t.Helper()
	server.Eventually(b.t, what, func() bool {
		now, err := chromedp.Run(b.ctx, chromedp.Evaluate[bool](expression))
		return err == nil && now
	})
}

// Click presses a button by the act that it stands for.
func (b *Browser) Click(act string) {
	b.t.Helper()
	b.Do("press "+act, chromedp.Click(Button(act)))
}

// Button selects the button of an act.
func Button(act string) string { return `button[name=act][value="` + act + `"]` }

// Header sends a field with each request: a language, or what a reverse proxy says of somebody who has signed in.
func (b *Browser) Header(name, value string) {
	b.t.Helper()
	b.header[name] = value
	set(b, network.SetExtraHTTPHeaders, network.SetExtraHTTPHeadersParams{Headers: b.header})
}

// Keys types: the page sees the keys as from a keyboard.
func (b *Browser) Keys(keys string) {
	b.t.Helper()
	b.Do("type "+strconv.Quote(keys), chromedp.KeyEvent(keys))
}

// TabTo presses Tab until an element has the focus, and fails when a stop on the way does not show it.
func (b *Browser) TabTo(selector string) {
	b.t.Helper()
	for range 100 {
		b.Keys("\t")
		if !JS[bool](b, `document.activeElement === document.body || document.activeElement.matches(":focus-visible") &&
			getComputedStyle(document.activeElement).outlineStyle !== "none"`) {
			b.t.Errorf("the focus can't be seen on %s", JS[string](b, `document.activeElement.outerHTML.slice(0, 200)`))
		}
		if JS[bool](b, `document.activeElement.matches(`+strconv.Quote(selector)+`)`) {
			return
		}
	}
	b.t.Fatalf("no Tab leads to %s", selector)
}
