package test

import (
	"fmt"
	"testing"

	"github.com/recall-milter/recall-milter/test/browser"
)

// fits fails when something of the bar or the list is cut off, or covers the page below.
func fits(t *testing.T, b *browser.Browser, name string) {
	t.Helper()
	found := browser.JS[string](b, `[...document.querySelectorAll(".recall-milter, .recall-milter *")].filter(e => {
		const box = e.getBoundingClientRect();
		return box.width && !e.matches(".recall-subject") &&
			(box.right > innerWidth + 1 || box.left < -1 ||
				e.scrollWidth > e.clientWidth + 1 && getComputedStyle(e).display !== "inline");
	}).map(e => e.outerHTML.slice(0, 120)).join("\n")`)
	if found != "" {
		t.Errorf("%s: too wide:\n%s", name, found)
	}
	if browser.JS[bool](b, `document.querySelector(".recall-bar") !== null &&
		document.querySelector(".recall-bar").getBoundingClientRect().bottom >
		document.querySelector("#layout").getBoundingClientRect().top + 1`) {
		t.Errorf("%s: the bar covers the page", name)
	}
}

func TestTheBarIsForEverybodyInRoundcube(t *testing.T) {
	m := startWebmail(t)
	b := m.signIn("anna", "en")
	m.compose(b, "look", "carl.with.a.very.long.name@department.partner.test")
	browser.JS[string](b, `document.querySelector("#compose-subject").value =
		"the price list, with all that has changed since the last one"`)
	m.press(b)
	b.Sees("Message waits")
	for _, colours := range []string{"light", "dark"} {
		b.Prefers("screen", "prefers-color-scheme", colours)
		for _, width := range []int64{320, 390, 1280} {
			b.Window(width, 700, 1)
			name := fmt.Sprintf("roundcube-%s-%d", colours, width)
			b.GoTo(m.URL)
			b.Sees("Message waits")
			fits(t, b, name+"-bar")
			b.AccessibleIn("#recall-milter", name+"-bar")
			b.Picture(name + "-bar")
			b.GoTo(m.URL + "/?_task=mail&_action=plugin.recall_milter.waiting")
			b.Sees("Message waits")
			fits(t, b, name+"-list")
			b.AccessibleIn("#layout-content", name+"-list")
			b.Picture(name + "-list")
		}
	}
	// by keyboard: the bar comes first
	b.GoTo(m.URL)
	b.Sees("Message waits")
	browser.JS[bool](b, `document.activeElement.blur(), true`)
	b.TabTo("#recall-milter [data-act=recall]")
	if said := browser.JS[string](b, `document.querySelector("#recall-milter-said").innerText`); said == "" {
		t.Error("a screen reader hears nothing")
	}
	b.Keys("\r")
	m.composing(b)
}

func TestTheBarSpeaksSixLanguagesInRoundcube(t *testing.T) {
	m := startWebmail(t, `$config['login_lc'] = 0;`)
	m.message("anna", "six@corp.test")
	// Roundcube keeps the language of each of its users; to the gateway, all of these are anna.
	for login, c := range map[string]struct{ language, wants string }{"anna": {"en", "Undo"}, "Anna": {"de", "Rückgängig"},
		"aNna": {"fr", "Annuler l’envoi"}, "anNa": {"es", "Deshacer"}, "annA": {"ja", "元に戻す"}, "ANNA": {"zh-CN", "撤销"}} {
		b := m.signIn(login, c.language)
		b.Window(320, 700, 1)
		b.GoTo(m.URL + "/?_task=mail&_action=plugin.recall_milter.waiting")
		b.Sees(c.wants)
		fits(t, b, c.language)
		b.Picture("roundcube-" + c.language)
	}
}
