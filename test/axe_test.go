package test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"github.com/recall-milter/recall-milter/test/server"
)

// axe returns the script of axe-core, which finds what keeps people with disabilities out; npm has it. The test is
// skipped where there is no npm.
func axe(t *testing.T) string {
	t.Helper()
	if _, err := exec.LookPath("npm"); err != nil {
		t.Skip("npm is not there: axe-core can't be fetched")
	}
	dir := t.TempDir()
	for _, command := range [][]string{{"npm", "pack", "--silent", "axe-core@4.10.3"},
		{"tar", "-xzf", "axe-core-4.10.3.tgz", "package/axe.min.js"}} {
		c := exec.Command(command[0], command[1:]...)
		c.Dir = dir
		if out, err := c.CombinedOutput(); err != nil {
			t.Skipf("axe-core can't be fetched: %v %s", err, out)
		}
	}
	script, err := os.ReadFile(filepath.Join(dir, "package", "axe.min.js"))
	if err != nil {
		t.Fatal(err)
	}
	return string(script)
}

// accessible fails for what breaks WCAG 2.2 AA on the page that is shown.
func (b *browser) accessible(name, axe string) {
	b.t.Helper()
	js[bool](b, axe+"; true")
	const rules = `axe.run({runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]})`
	b.do("look for barriers", chromedp.Evaluate[chromedp.Void](`window.barriers = null; `+rules+
		`.then(r => window.barriers = r.violations.map(v => v.id + ": " + v.nodes.map(n => n.html).join(" ")).join("\n"));
		undefined`))
	var found string
	server.Eventually(b.t, "axe has looked", func() bool {
		found = js[string](b, `window.barriers === null ? "not yet" : window.barriers`)
		return found != "not yet"
	})
	if found != "" {
		b.t.Errorf("%s:\n%s", name, found)
	}
}

// Every page fits a phone in every language, and nobody is kept out.
func TestThePagesAreForEverybody(t *testing.T) {
	script := axe(t)
	g := startOffice(t, "1h")
	w := g.withPage("[web.sign_in]\nheader = \"X-User\"")
	g.message("anna", "one@corp.test", "bert@x.test", "carl.with.a.very.long.name@department.partner.test")
	g.message("anna", "two@corp.test")
	g.message("anna", "three@corp.test")
	g.ctl("recall", "two@corp.test")
	g.ctl("release", "three@corp.test")
	link := g.link("one@corp.test")
	for _, language := range strings.Fields("en de fr es ja zh") {
		b := openBrowser(t, language)
		b.signInAs("anna")
		for name, address := range map[string]string{"sign-in": w.base + "/sign-in", "list": w.base + "/",
			"link": link, "wrong": w.base + "/l/x", "back": g.link("two@corp.test")} {
			b.do("open "+name, chromedp.Navigate(address))
			b.picture(name+"-"+language+"-1280", 1280)
			b.picture(name+"-"+language+"-320", 320)
			if language == "en" || name == "link" {
				b.accessible(name+" in "+language, script)
			}
		}
	}
}

// link prints the link to the page of a message.
func (g *gateway) link(messageID string) string {
	g.t.Helper()
	out, code := g.ctl("link", messageID)
	if code != 0 {
		g.t.Fatalf("link: exit %d", code)
	}
	return strings.TrimSpace(out)
}

// signInAs sends what a reverse proxy says of somebody who has signed in.
func (b *browser) signInAs(login string) {
	b.t.Helper()
	b.do("sign in", func(ctx context.Context, t *chromedp.Target) (v chromedp.Void, err error) {
		_, err = cdp.Call(ctx, t, network.SetExtraHTTPHeaders,
			network.SetExtraHTTPHeadersParams{Headers: network.Headers{"X-User": login}})
		return v, err
	})
}
