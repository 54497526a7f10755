package web_test

import (
	"regexp"
	"strings"
	"testing"
)

// firstWindow is what a server sends in the first round trip of a connection: ten segments (RFC 6928).
const firstWindow = 10 * 1460

// A page is there in one round trip. What it needs besides is named in the page itself, needs nothing in turn, and is
// kept by the browser, so that it is asked for once, all of it together.
func TestAPageTakesOneRoundTrip(t *testing.T) {
	t.Parallel()
	h := open(t, withBoss)
	g := h.guest("Remote-User", "anna")
	_, page, header := g.ask("GET", "/m/"+h.ids["of anna"], "")
	of := func(n int, header map[string][]string) int {
		for name, values := range header {
			n += len(name) + len(strings.Join(values, "")) + 4
		}
		return n
	}
	if n := of(len(page), header); n > firstWindow {
		t.Errorf("the page has %d bytes", n)
	}
	loaded := regexp.MustCompile(`(?:src|href)="(/static/[^"]*)"`).FindAllStringSubmatch(page, -1)
	all := of(len(page), header)
	for _, m := range loaded {
		code, text, header := g.ask("GET", m[1], "")
		all += of(len(text), header)
		if code != 200 || !strings.Contains(header.Get("Cache-Control"), "immutable") {
			t.Errorf("%s: %d, %q", m[1], code, header.Get("Cache-Control"))
		}
		if more := regexp.MustCompile(`@import|url\(|import\(|\bsrc\b|/static/`).FindString(text); more != "" {
			t.Errorf("%s needs more: %s", m[1], more)
		}
	}
	if len(loaded) != 3 || all > 40<<10 {
		t.Errorf("it loads %d files, %d bytes in all", len(loaded), all)
	}
}
