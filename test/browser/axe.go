package browser

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"

	"github.com/chromedp/chromedp"
)

const axeVersion = "4.14.1"

// axe fetches the script of axe-core, which finds what keeps people with disabilities out; npm has it.
var axe = sync.OnceValues(func() (script string, err error) {
	dir, err := os.MkdirTemp("", "axe")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	for _, command := range [][]string{{"npm", "pack", "--silent", "axe-core@" + axeVersion},
		{"tar", "-xzf", "axe-core-" + axeVersion + ".tgz", "package/axe.min.js"}} {
		c := exec.Command(command[0], command[1:]...)
		c.Dir = dir
		if err := c.Run(); err != nil {
			return "", err
		}
	}
	text, err := os.ReadFile(filepath.Join(dir, "package", "axe.min.js"))
	return string(text), err
})

// Standards are the rules of axe-core that a page of ours keeps. Colours are those of them that the dark alone can
// break.
var (
	Standards = []string{"wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"}
	Colours   = []string{"color-contrast", "link-in-text-block"}
)

// barriers runs axe-core on what a selector selects, and gives what breaks its rules there.
const barriers = `axe.run(%q, {runOnly: %s, resultTypes: ["violations"], selectors: false}).then(r =>
	r.violations.map(v => v.id + ": " + v.nodes.map(n =>
		n.html.slice(0, 200) + " " + (n.any[0] || {}).message).join(" ")).join("\n"))`

// Accessible fails for what keeps people out of the page that is shown, by Standards or other rules. The test is
// skipped where npm has no axe-core.
func (b *Browser) Accessible(name string, rules ...string) {
	b.t.Helper()
	b.AccessibleIn("html", name, rules...)
}

// AccessibleIn is Accessible for the part of the page that a selector selects.
func (b *Browser) AccessibleIn(selector, name string, rules ...string) {
	b.t.Helper()
	script, err := axe()
	if err != nil {
		b.t.Skipf("axe-core can't be fetched: %v", err)
	}
	if !JS[bool](b, `"axe" in window`) {
		b.Do("load axe-core", chromedp.Evaluate[chromedp.Void](script+"; undefined"))
	}
	if len(rules) == 0 {
		rules = Standards
	}
	list, _ := json.Marshal(rules)
	look := chromedp.Evaluate[string](fmt.Sprintf(barriers, selector, list), chromedp.EvalAwaitPromise)
	if found := run(b, "look for barriers", look); found != "" {
		b.t.Errorf("%s:\n%s", name, found)
	}
}
