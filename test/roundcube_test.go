package test

import (
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/recall-milter/recall-milter/test/browser"
	"github.com/recall-milter/recall-milter/test/server"
)

// list is true on the page that lists a folder.
const list = `window.rcmail && rcmail.task === "mail" && !rcmail.env.action && rcmail.env.mailbox !== undefined`

// webmail is an office whose people write in Roundcube with our plugin.
type webmail struct {
	*organisation
	*server.Roundcube
	page  *webSite
	api   *server.Proxy // between Roundcube and the API
	token string
}

// startWebmail starts an office with webmail; settings are lines of Roundcube's configuration. Its tests are run by
// make roundcube: they need PHP and Roundcube.
func startWebmail(t *testing.T, settings ...string) *webmail {
	t.Helper()
	return startWebmailAnd(t, "", settings...)
}

// startWebmailAnd is startWebmail with lines of [web].
func startWebmailAnd(t *testing.T, web string, settings ...string) *webmail {
	t.Helper()
	needsRoundcube(t)
	return openWebmail(&organisation{gateway: startOffice(t, "1h"), boxes: server.StartMailboxes(t)}, web, settings...)
}

func needsRoundcube(t *testing.T) {
	t.Helper()
	if os.Getenv("ROUNDCUBE") == "" {
		t.Skip("make roundcube runs it")
	}
	t.Parallel()
}

// openWebmail opens a webmail for the mailboxes of an organisation.
func openWebmail(o *organisation, web string, settings ...string) *webmail {
	o.t.Helper()
	m := &webmail{organisation: o, api: server.StartProxy(o.t), page: o.withPage(web),
		token: o.gateway.token("roundcube", "--scope", "act", "--for", "*")}
	m.back()
	m.Roundcube = server.StartRoundcube(o.t, o.boxes.IMAP, o.mta.smtp, strings.Join(settings, "\n"))
	m.install()
	return m
}

// install types the commands of the manual, and edits the file as it says.
func (m *webmail) install() {
	m.t.Helper()
	here := strings.NewReplacer("/usr/share/doc/recall-milter/examples", "../packaging", "/var/lib/roundcube", m.Dir,
		"/etc/roundcube", m.Dir+"/config")
	for _, c := range commandsOf(m.t, "webmail.md") {
		if !strings.HasPrefix(c.line, "cp ") {
			continue
		}
		if out, err := exec.Command("sh", "-c", here.Replace(c.line)).CombinedOutput(); err != nil {
			m.t.Fatalf("%s: %v\n%s", c.line, err, out)
		}
	}
	file := filepath.Join(m.Dir, "config/recall_milter.inc.php")
	text, err := os.ReadFile(file)
	m.must(err)
	edited := strings.NewReplacer("https://recall.corp.test", "http://"+m.api.Addr, "_token'] = ''",
		"_token'] = '"+m.token+"'").Replace(string(text))
	m.must(os.WriteFile(file, []byte(edited), 0o600))
}

// back leads Roundcube to the API.
func (m *webmail) back() { m.api.To(strings.TrimPrefix(m.page.base, "http://")) }

// signIn opens Roundcube for somebody, in a browser.
func (m *webmail) signIn(login, language string) *browser.Browser {
	m.t.Helper()
	b := browser.Open(m.t)
	b.Header("Accept-Language", language)
	b.GoTo(m.URL)
	b.Do("sign in", chromedp.SendKeys("#rcmloginuser", login), chromedp.SendKeys("#rcmloginpwd", server.Password),
		chromedp.Click("#rcmloginsubmit"))
	b.Until("the list is there", list)
	return b
}

// sends has somebody send a message whose body is that of id, and returns its Message-ID.
func (m *webmail) sends(b *browser.Browser, id string, to ...string) string {
	m.t.Helper()
	m.compose(b, id, to...)
	m.press(b)
	b.Sees("Message waits")
	return browser.JS[string](b, `rcmail.env.recall_milter && document.querySelector(".recall-row").dataset.id`)
}

// stale keeps the page from hearing anything new, until a button is pressed.
func stale(b *browser.Browser) {
	browser.JS[bool](b, `(ask => { rcmail.http_request = function (action, data, lock, type) {
		return type === "POST" && ask.apply(this, arguments) }; return true })(rcmail.http_request)`)
}

// compose opens the page that writes a message, and fills it.
func (m *webmail) compose(b *browser.Browser, id string, to ...string) {
	m.t.Helper()
	b.GoTo(m.URL + "/?_task=mail&_action=compose&" + url.Values{"_to": {strings.Join(to, ", ")},
		"_subject": {"the price list"}, "_body": {"body of " + id}}.Encode())
	m.composing(b)
}

// composing waits until a message can be edited.
func (m *webmail) composing(b *browser.Browser) {
	m.t.Helper()
	b.Until("a message can be written", `window.rcmail && rcmail.env.action === "compose" && rcmail.task === "mail" &&
		document.readyState === "complete" && !rcmail.busy`)
}

// attach attaches a file to the message that is written.
func (m *webmail) attach(b *browser.Browser, name, text string) {
	m.t.Helper()
	file := filepath.Join(m.t.TempDir(), name)
	m.must(os.WriteFile(file, []byte(text), 0o600))
	b.Do("choose a file", chromedp.SetUploadFiles("#uploadform input[type=file]", []string{file}))
	b.Until("the file is attached", fmt.Sprintf(`Object.values(rcmail.env.attachments).some(a => a.complete &&
		a.name === %q)`, name))
}

// press presses Send, and waits for the list.
func (m *webmail) press(b *browser.Browser) {
	m.t.Helper()
	b.Do("send", chromedp.Click(".formbuttons .send"))
	b.Until("the list is there", list)
}

// bar presses a button of the bar.
func bar(b *browser.Browser, act string) {
	button := `.recall-milter [data-act=` + act + `]:not([aria-disabled])`
	b.Until("the bar offers "+act, `document.querySelector("`+button+`") !== null`)
	b.Do("press "+act, chromedp.Click(button))
}

func TestAMessageIsUndoneCorrectedAndSentInRoundcube(t *testing.T) {
	m := startWebmail(t)
	b := m.signIn("anna", "en")
	m.compose(b, "wrong", "b@x.test")
	m.attach(b, "prices.txt", "1 EUR")
	m.press(b)
	b.Sees("Message waits 59:")
	id := m.folder("anna", "Sent")[0]
	b.GoTo(m.URL + "/?_task=settings")
	b.Sees("Message waits 59:") // on every page
	bar(b, "recall")
	m.composing(b)
	b.Sees("Taken back. Nobody will get it.")
	if got := m.state(id); got != "recalled" {
		t.Errorf("after Undo it is %q", got)
	}
	if sent, drafts := m.folder("anna", "Sent"), m.folder("anna", "Drafts"); len(sent) != 0 || len(drafts) != 1 {
		t.Errorf("after Undo, %d are in Sent and %d in Drafts", len(sent), len(drafts))
	}
	b.Sees("prices.txt")
	b.Do("correct it", chromedp.SetValue("#composebody", "body of right"))
	m.press(b)
	b.Sees("Message waits 59:")
	bar(b, "release")
	server.Eventually(t, "the corrected message arrives", func() bool { return m.arrived("right") == 1 })
	b.Sees("Message sent")
	for _, d := range m.sink.Got() {
		if !strings.Contains(string(d.Data), "prices.txt") {
			t.Errorf("it came without its attachment:\n%s", d.Data)
		}
	}
	if m.arrived("wrong") != 0 {
		t.Error("the message that was taken back arrived")
	}
	if sent, drafts := m.folder("anna", "Sent"), m.folder("anna", "Drafts"); len(sent) != 1 || len(drafts) != 0 {
		t.Errorf("at the end, %d are in Sent and %d in Drafts", len(sent), len(drafts))
	}
}
