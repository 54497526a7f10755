package web_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp/kb"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/test/browser"
)

// enter goes to an element by the keyboard alone, and presses it.
func enter(b *browser.Browser, selector string) {
	b.TabTo(selector)
	b.Keys(kb.Enter)
}

// focused waits until an element has the focus.
func focused(b *browser.Browser, selector string) {
	b.Until("the focus is at "+selector, `document.activeElement.matches('`+selector+`')`)
}

// steady fails when something has moved since the page began: a button could move away under a finger.
func steady(b *browser.Browser) {
	b.Until("it counts down", `document.querySelector(".clock").innerText.includes(":")`)
	browser.JS[bool](b, `window.moved = null, new PerformanceObserver(list => window.moved = list.getEntries()
		.map(e => e.value).reduce((a, b) => a + b, 0)).observe({type: "layout-shift", buffered: true}),
		requestAnimationFrame(() => setTimeout(() => window.moved ??= 0, 100)), true`)
	b.Until("nothing has moved", `window.moved !== null && window.moved < 0.01`)
}

// Somebody without a mouse does all that a sender can do. The focus is where the outcome is said, and where it was when
// the page has shown a change by itself.
func TestASenderNeedsNoMouse(t *testing.T) {
	t.Parallel()
	h := open(t, withBoss)
	id := h.mail("By keys", time.Hour, "Hello", "bert@far.test", "carla@far.test")
	b := browser.Open(t)
	b.Header("Remote-User", "anna")
	b.GoTo(h.url + "/m/" + id)
	steady(b)
	b.GoTo(h.url + "/")
	steady(b)
	b.TabTo(".skip")
	b.Keys(kb.Enter)
	for _, act := range []struct{ press, says string }{
		{"#recall-" + id, "Taken back. Nobody will get it."}, {"#restore", "It waits again."},
		{`[value="extend 10m0s"]`, "It waits longer."},
	} {
		enter(b, act.press)
		b.Sees(act.says)
		focused(b, "#outcome")
	}
	enter(b, "#some-open")
	b.TabTo("#only-0")
	b.Keys(" ")
	h.extend(id)
	b.Sees("waits longer · login boss") // without a click: by an event
	focused(b, "#only-0:checked")
	enter(b, "#recall-some")
	b.Sees("taken back, never sent")
	enter(b, "#release")
	b.Sees("It leaves now.")
	focused(b, "#outcome")
	b.TabTo("#recall")
	h.leave(id)
	b.Until("the page says that it has left", `document.getElementById("told").textContent.startsWith("By keys: Sent")`)
	focused(b, "#state-"+id)
	enter(b, "#ask")
	focused(b, "#outcome")
	b.Keys(kb.Tab)
	b.Keys(kb.Enter)
	b.Sees("How long your mail waits")
	b.TabTo("#grace")
	b.Keys("5")
	enter(b, `[value=choose]`)
	b.Sees("Saved. Your own time is now: 5 min")
	focused(b, "#outcome")
}

// extend lets a message wait longer, as somebody else.
func (h *house) extend(id string) {
	h.t.Helper()
	if _, err := h.store.Extend(h.t.Context(), id, time.Minute, holdstore.Actor{By: "login boss"}); err != nil {
		h.t.Fatal(err)
	}
}

func TestAnOperatorNeedsNoMouse(t *testing.T) {
	t.Parallel()
	h := open(t, withBoss)
	b := browser.Open(t)
	b.Header("Remote-User", "boss")
	b.GoTo(h.url + "/operator/")
	b.TabTo("#subject")
	b.Keys("of anna" + kb.Enter)
	b.Until("one is found", `document.querySelectorAll(".rows li").length === 1`)
	b.TabTo("input[name=id]")
	b.Keys(" ")
	enter(b, `button[value=recall]`)
	b.Sees("Number of messages: 1")
	b.TabTo("#reason")
	b.Keys("sent by mistake")
	enter(b, `button[value=recall]`)
	b.Sees("Done: 1.")
	focused(b, "#outcome")
	if got := h.state("of anna"); got != holdstore.Recalled {
		t.Errorf("the message is %s", got)
	}
	b.GoTo(h.url + "/operator/health")
	enter(b, `button[value=pause]`)
	b.Sees("Releases are paused.")
	focused(b, "#outcome")
	enter(b, `button[value=resume]`)
	b.Sees("Releases go on.")
}

// The time that is left is said three times and not every second, and one key press makes it longer.
func TestTheTimeThatIsLeftIsAnnounced(t *testing.T) {
	t.Parallel()
	h := open(t, withBoss)
	id := h.mail("Soon", 2*time.Minute, "Hello", "bert@far.test")
	b := browser.Open(t)
	b.Header("Remote-User", "anna")
	b.GoTo(h.url + "/m/" + id)
	b.Until("it counts down", `document.querySelector(".clock").innerText.includes(":")`)
	browser.JS[bool](b, `window.heard = [], new MutationObserver(() => heard.push(told.textContent))
		.observe(document.getElementById("told"), {childList: true}), true`)
	for n, left := range []int{60, 30, 10} {
		browser.JS[bool](b, fmt.Sprintf(`document.querySelector("[data-due]").dataset.due = Date.now() + %d900, true`, left))
		b.Until("it is announced", fmt.Sprintf(`heard.length === %d`, n+1))
		said := browser.JS[int](b, `parseInt(heard.at(-1))`)
		if said > left || said < left-3 {
			t.Errorf("at %d seconds it says %d", left, said)
		}
	}
	b.Until("some seconds have passed", `Number(document.querySelector(".clock span").innerText.split(":")[1]) < 8`)
	if heard := browser.JS[string](b, `heard.join("\n")`); strings.Count(heard, "\n") != 2 {
		t.Errorf("announced:\n%s", heard)
	}
	enter(b, `[value="extend 10m0s"]`)
	b.Sees("It waits longer.")
}

// Without JavaScript each button is a form, and the page is asked again by a link.
func TestThePageWorksWithoutScripts(t *testing.T) {
	t.Parallel()
	h := open(t, withBoss)
	id := h.mail("Plain", time.Hour, "Hello", "bert@far.test")
	b := browser.Open(t)
	b.Header("Remote-User", "anna")
	b.Scripts(false)
	b.GoTo(h.url + "/m/" + id)
	b.Sees("Leaves at ")
	b.Click("recall")
	b.Sees("Taken back. Nobody will get it.")
	b.Click("restore")
	b.Sees("It waits again.")
	h.leave(id)
	enter(b, ".refresh a")
	b.Sees("Ask the recipients' mail systems")
	b.GoTo(h.url + "/")
	b.TabTo("#grace")
	b.Keys("N")
	enter(b, `[value=choose]`)
	b.Sees("Saved. Your own time is now: Not at all")
}

// What is shown may be old, or for nobody any more: the page says so.
func TestThePageKnowsWhenItIsOld(t *testing.T) {
	t.Parallel()
	h := open(t, withBoss)
	id := h.mail("Old", time.Hour, "Hello", "bert@far.test")
	b := browser.Open(t)
	b.Header("Remote-User", "anna")
	b.GoTo(h.url + "/m/" + id)
	h.redis.Kill()
	b.Sees("What you see might be old")
	h.redis.Start()
	h.extend(id)
	b.Sees("waits longer · login boss")
	b.Until("it is no longer old", `document.getElementById("stale").hidden`)
	list := b.Tab()
	list.Header("Remote-User", "anna")
	list.GoTo(h.url + "/")
	list.Sees("Old")
	h.leave(id)
	browser.JS[bool](list, lookAgain)
	list.Until("the list shows it", `document.getElementById("told").textContent.includes("Old: Sent")`)
	list.Header("Remote-User", "") // signed out at the proxy
	browser.JS[bool](list, lookAgain)
	list.Sees("Enter the address")
}

// A page that the back button brings back as it was, scripts and all, looks again and listens again.
func TestAPageThatComesBackLooksAgain(t *testing.T) {
	t.Parallel()
	h := open(t, withBoss)
	id := h.mail("Back", time.Hour, "Hello", "bert@far.test")
	b := browser.Open(t)
	b.Header("Remote-User", "anna")
	b.GoTo(h.url + "/m/" + id)
	b.Sees("Send now")
	browser.JS[bool](b, `dispatchEvent(new PageTransitionEvent("pagehide", {persisted: true}))`) // it listens no longer
	h.extend(id)
	browser.JS[bool](b, `dispatchEvent(new PageTransitionEvent("pageshow", {persisted: true}))`)
	b.Sees("waits longer · login boss")
	h.leave(id)
	b.Sees("Ask the recipients' mail systems")
}

// luminance is how bright a colour of a computed style is.
const luminance = `((what) => getComputedStyle(document.body)[what].match(/\d+/g).slice(0, 3)
	.reduce((sum, part) => sum + Number(part), 0))`

// Who prefers dark pages gets them, and forms and scroll bars with them.
func TestThePageIsDarkForWhoeverPrefersIt(t *testing.T) {
	t.Parallel()
	h := open(t, "")
	b := browser.Open(t)
	b.GoTo(h.url + "/sign-in")
	for scheme, dark := range map[string]bool{"light": false, "dark": true} {
		b.Prefers("screen", "prefers-color-scheme", scheme)
		if browser.JS[bool](b, luminance+`("backgroundColor") < `+luminance+`("color")`) != dark {
			t.Errorf("%s: the page is %s on %s", scheme, browser.JS[string](b, `getComputedStyle(document.body).color`),
				browser.JS[string](b, `getComputedStyle(document.body).backgroundColor`))
		}
	}
	if got := browser.JS[string](b, `getComputedStyle(document.documentElement).colorScheme`); got != "light dark" {
		t.Errorf("the browser's own parts are %q", got)
	}
}

// lookAgain has a page look at once, as one does that was hidden behind another.
const lookAgain = `document.dispatchEvent(new Event("visibilitychange"))`
