package browser

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/chromedp/chromedp"
)

// Page is the source of a page under a name.
type Page struct {
	Name string `json:"name"`
	HTML string `json:"html"`
}

// Pages are pages that take turns in one document, which has their head already. That is many times faster than opening
// each of them for each width of a window.
type Pages struct {
	b    *Browser
	list []Page
}

// turn shows a page in place of another: its language, title and body, in which its script has run once. Its timers,
// listeners and events are left out, as they would outlive it.
const turn = `window.turn = page => {
	const next = new DOMParser().parseFromString(page.html, "text/html");
	document.documentElement.lang = next.documentElement.lang;
	document.title = next.title;
	document.body.replaceWith(document.adoptNode(next.body));
	(function (window, setInterval, addEventListener) { %s })({}, () => {}, () => {});
};
window.pages = %s;
true`

// Pages lets pages take turns in the document that is open; script is theirs.
func (b *Browser) Pages(script string, list []Page) Pages {
	b.t.Helper()
	all, err := json.Marshal(list)
	if err != nil {
		b.t.Fatal(err)
	}
	JS[bool](b, fmt.Sprintf(turn, script, all))
	return Pages{b, list}
}

// Find fails for each page in which an expression finds something; it gives one line for each finding.
func (p Pages) Find(what, expression string) {
	p.b.t.Helper()
	found := JS[[]string](p.b, `pages.map(page => { turn(page); return `+expression+`; })`)
	for n, lines := range found {
		if lines = strings.TrimSpace(lines); lines != "" {
			p.b.t.Errorf("%s, %s:\n%s", p.list[n].Name, what, lines)
		}
	}
}

// Fit fails for each page that must be scrolled sideways, or has something cut off.
func (p Pages) Fit(where string) {
	p.b.t.Helper()
	p.Find("too wide "+where, outside)
}

// Accessible is Browser.Accessible of each page.
func (p Pages) Accessible(where string, rules ...string) {
	p.b.t.Helper()
	for n, page := range p.list {
		p.b.Do("show "+page.Name, chromedp.Evaluate[chromedp.Void](fmt.Sprintf("turn(pages[%d]); undefined", n)))
		p.b.Accessible(page.Name+where, rules...)
	}
}
