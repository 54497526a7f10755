package browser

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// Window makes the window so large, in pixels of a style sheet: a zoom of 400 % makes one of 1280 pixels one of 320.
func (b *Browser) Window(width, height int64, zoom float64) {
	b.t.Helper()
	b.Do("a window of another size", chromedp.EmulateViewport(width, height, chromedp.EmulateScale(zoom)))
}

// Prefers has the page seen by somebody with preferences, such as "prefers-color-scheme", "dark"; medium is "screen" or
// "print".
func (b *Browser) Prefers(medium string, preferences ...string) {
	b.t.Helper()
	p := emulation.SetEmulatedMediaParams{Media: medium}
	for n := 0; n+1 < len(preferences); n += 2 {
		p.Features = append(p.Features, &emulation.MediaFeature{Name: preferences[n], Value: preferences[n+1]})
	}
	set(b, emulation.SetEmulatedMedia, p)
}

// Scripts switches JavaScript on or off for the pages that are opened next.
func (b *Browser) Scripts(on bool) {
	b.t.Helper()
	set(b, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: !on})
}

// Picture takes a picture of the whole page, for people to look at, in the folder that SCREENSHOTS names.
func (b *Browser) Picture(name string) {
	b.t.Helper()
	folder := os.Getenv("SCREENSHOTS")
	if folder == "" {
		return
	}
	png := run(b, "a picture", chromedp.FullScreenshot(100))
	if err := os.WriteFile(filepath.Join(folder, name+".png"), png, 0o600); err != nil {
		b.t.Fatal(err)
	}
}

// Look is Picture in windows of some widths, and fails when something does not fit into one of them.
func (b *Browser) Look(name string, widths ...string) {
	b.t.Helper()
	for _, width := range widths {
		b.Window(map[string]int64{"320": 320, "1280": 1280}[width], 800, 1)
		b.Fits(name + " at " + width)
		b.Picture(name + "-" + width)
	}
}

// outside lists what reaches over the window's edges, or over those of the element around it that cuts it off.
const outside = `[...document.body.querySelectorAll("*")].filter(el => {
	const style = getComputedStyle(el), box = el.getBoundingClientRect();
	if (!box.width || el.closest(".hidden, .skip") || el.closest("pre") && el.tagName !== "PRE") return false;
	return box.right > document.documentElement.clientWidth + 1 || box.left < -1 ||
		style.display !== "inline" && el.scrollWidth > el.clientWidth + 1 && !el.matches("input, select");
}).map(el => el.outerHTML.slice(0, 120)).join("\n")`

// Fits fails when the page must be scrolled sideways, or something is cut off.
func (b *Browser) Fits(name string) {
	b.t.Helper()
	if found := strings.TrimSpace(JS[string](b, outside)); found != "" {
		b.t.Errorf("%s: too wide:\n%s", name, found)
	}
}
