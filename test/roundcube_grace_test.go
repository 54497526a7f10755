package test

import (
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/recall-milter/recall-milter/test/browser"
	"github.com/recall-milter/recall-milter/test/server"
)

// TestOwnGraceIsChosenInRoundcube sees the setting only where the gateway offers a range, and has mail wait as chosen.
func TestOwnGraceIsChosenInRoundcube(t *testing.T) {
	m := startWebmail(t)
	b := m.signIn("anna", "en")
	settings := m.URL + "/?_task=settings&_action=edit-prefs&_section=compose"
	offered := func() bool {
		b.GoTo(settings)
		b.Sees("Main Options")
		return browser.JS[bool](b, `document.getElementById("recall-milter-grace") !== null`)
	}
	if offered() {
		t.Error("a grace can be chosen that the gateway does not offer")
	}
	m.change("grace = \"1h\"", "grace = \"1h\"\nown_grace = [\"0s\", \"2h\"]")
	m.must(m.daemon.Process.Signal(syscall.SIGHUP))
	m.must(m.page.process.Signal(syscall.SIGHUP))
	m.said("reloaded: ")
	server.Eventually(t, "it is offered", offered)
	b.Sees("How long your messages wait before they are sent")
	n := 0
	choose := func(text, wants string) {
		t.Helper()
		browser.JS[bool](b, `(s => { s.value = [...s.options].find(o => o.text === "`+text+`").value; return true })(
			document.getElementById("recall-milter-grace"))`)
		b.Do("save", chromedp.Click("button.submit, .formbuttons .btn-primary"))
		b.Sees("Successfully saved")
		b.GoTo(settings)
		b.Until("it is chosen", `document.getElementById("recall-milter-grace")?.selectedOptions[0].text === "`+text+`"`)
		server.Eventually(t, "a message waits for "+wants, func() bool {
			n++
			id := fmt.Sprintf("own%d@corp.test", n)
			m.message("anna", id, "carl@x.test")
			out, _ := m.ctl("--json", "show", id)
			return strings.Contains(out, `"grace":"`+wants+`"`)
		})
	}
	choose("5 min", "5m0s")
	b.Picture("roundcube-grace")
	choose("As the organisation sets it", "1h0m0s")
	m.api.To("")
	b.GoTo(settings)
	b.Until("nothing is offered without an API", `document.readyState === "complete" &&
		document.getElementById("recall-milter-grace") === null`)
}
