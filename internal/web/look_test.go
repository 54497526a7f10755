package web_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/test/browser"
)

const (
	longSubject = "Re: Fwd: minutes of the meeting about the price list of the year 2027, its annexes A to F, and " +
		"Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft"
	hebrewSubject = "סיכום הפגישה: price list 2027 (טיוטה)"
	emojiSubject  = "🎉 Party on Friday 🥳🥳"
)

// mail holds a message of anna's, and returns its ID.
func (h *house) mail(subject string, grace time.Duration, text string, to ...string) string {
	h.t.Helper()
	sub := holdstore.Submission{Subject: subject, Login: "anna", Sender: holdstore.Path{Address: "anna@corp.test"},
		MessageID: fmt.Sprintf("<%d@corp.test>", len(h.ids)), Client: holdstore.Client{Address: "192.0.2.1"},
		Gateway: "gw.corp.test"}
	for _, address := range to {
		sub.Recipients = append(sub.Recipients, holdstore.Path{Address: address})
	}
	header := "Subject: x\r\nContent-Type: multipart/mixed; boundary=b\r\n"
	body := "--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n" + text + "\r\n--b\r\n" +
		"Content-Disposition: attachment; filename=\"price list 2027.pdf\"\r\n\r\nx\r\n--b--\r\n"
	put := h.store.Put(sub, []byte(header))
	if err := put.Write(h.t.Context(), []byte(body)); err != nil {
		h.t.Fatal(err)
	}
	r, err := put.Commit(h.t.Context(), holdstore.Terms{Rule: "default", Grace: grace})
	if err != nil {
		h.t.Fatal(err)
	}
	h.ids[subject] = r.ID
	return r.ID
}

// crowd returns n addresses.
func crowd(n int) (all []string) {
	for k := range n {
		all = append(all, fmt.Sprintf("person.number.%d@department.partner.test", k))
	}
	return all
}

// sight is one page in one state.
type sight struct{ name, login, path string }

// same says whether another sight has the same texts of ours: one of them is enough for the other languages.
func (s sight) same() bool {
	return slices.Contains([]string{"held", "held-crowd", "held-hebrew", "held-emoji", "link", "not-found",
		"operator-count-none", "operator-audit-none"}, s.name)
}

// sights makes mail in every state that the page knows, and returns the pages that show them.
func (h *house) sights() []sight {
	h.t.Helper()
	text := "Dear Bert,\r\n\r\nthe prices of next year are attached. Please don't pass them on.\r\n\r\nAnna"
	if code, _, _ := h.guest("Remote-User", "nobody").ask("POST", "/me", "act=choose&grace=5m"); code != 303 {
		h.t.Fatalf("a choice: %d", code)
	}
	recalled := h.mail("Salaries 2027", time.Hour, text, "board@partner.test")
	if _, err := h.store.Recall(h.t.Context(), recalled, holdstore.Actor{By: "login anna"}); err != nil {
		h.t.Fatal(err)
	}
	released := h.mail("Lunch", time.Hour, text, "carla@partner.test")
	h.leave(released)
	asked := h.answered(text)
	crowded := h.mail(longSubject, 50*time.Minute, text, crowd(50)...)
	hebrew := h.mail(hebrewSubject, 25*time.Minute, "שלום\r\n"+text, "bert@partner.test")
	emoji := h.mail(emojiSubject, 110*time.Second, text, "all@corp.test", "friends@partner.test")
	waiting := h.mail("Price list 2027", 2*time.Minute, text, "bert@partner.test", "carla@partner.test", "dora@far.test")
	link, _ := h.marker.HoldLink(waiting, time.Now().Add(time.Hour))
	return []sight{
		{"sign-in", "anna", "/sign-in"}, {"sign-in-mailed", "anna", "/sign-in?did=mailed"},
		{"list", "anna", "/"}, {"list-empty", "nobody", "/?did=chosen"},
		{"held", "anna", "/m/" + waiting}, {"held-crowd", "anna", "/m/" + crowded},
		{"held-hebrew", "anna", "/m/" + hebrew}, {"held-emoji", "anna", "/m/" + emoji},
		{"held-nothing", "anna", "/m/" + waiting + "?did=nothing"},
		{"held-longer", "anna", "/m/" + waiting + "?did=extended"}, {"recalled", "anna", "/m/" + recalled + "?did=recalled"},
		{"released", "anna", "/m/" + released},
		{"too-late", "anna", "/m/" + released + "?did=too-late"}, {"asked", "anna", "/m/" + asked + "?did=asked"},
		{"no-recall", "fixed", "/m/" + h.ids["fixed"]}, {"link", "anna", "/l/" + link},
		{"link-wrong", "anna", "/l/x"}, {"not-found", "anna", "/m/x"}, {"not-allowed", "anna", "/operator/"},
		{"operator-search", "boss", "/operator/?state=all"}, {"operator-none", "boss", "/operator/?subject=nothing"},
		{"operator-wrong", "boss", "/operator/?since=next+week"},
		{"operator-count", "boss", "/operator/confirm?act=recall&which=all&sender=anna%40corp.test"},
		{"operator-count-none", "boss", "/operator/confirm?act=restore&which=chosen&id=" + waiting},
		{"operator-audit", "boss", "/operator/audit"}, {"operator-audit-none", "boss", "/operator/audit?by=nobody"},
		{"operator-health", "boss", "/operator/health"},
	}
}

// answered makes a message that has left, and whose recipients' gateways have been asked: each with another answer.
func (h *house) answered(text string) string {
	h.t.Helper()
	to := []string{"erik@far.test", "frida@far.test", "gina@far.test", "hugo@far.test", "ines@far.test", "jan@far.test"}
	id := h.mail("Offer", time.Hour, text, to...)
	c, err := h.store.ClaimOne(h.t.Context(), id, "", holdstore.Actor{By: "login anna"})
	if err != nil {
		h.t.Fatal(err)
	}
	results := map[int]holdstore.Result{5: {Outcome: holdstore.Failed, Detail: "550 5.1.1 no such mailbox here"}}
	for n := range 5 {
		results[n] = holdstore.Result{Outcome: holdstore.Sent, Detail: "250 2.0.0 Ok: queued as 4ZxKq01"}
	}
	if err := h.store.Settle(h.t.Context(), c, holdstore.Settlement{Results: results}); err != nil {
		h.t.Fatal(err)
	}
	request := holdstore.Request{Domain: "far.test", Recipients: []int{0, 1, 2, 3, 4}}
	_, err = h.store.RequestRecall(h.t.Context(), id, []holdstore.Request{request}, time.Hour,
		holdstore.Actor{By: "login anna"})
	if err != nil {
		h.t.Fatal(err)
	}
	err = h.store.AddAnswers(h.t.Context(), id, "far.test", []holdstore.Answer{
		{Recipient: 0, Outcome: holdstore.AlreadyRead}, {Recipient: 1, Outcome: holdstore.Retracted},
		{Recipient: 2, Outcome: holdstore.Refused, Detail: "a policy of far.test"},
		{Recipient: 3, Outcome: holdstore.Unknown}})
	if err != nil {
		h.t.Fatal(err)
	}
	return id
}

// pages are the sources of sights in one language.
func (h *house) pages(language string, sights []sight) (all []browser.Page) {
	h.t.Helper()
	for _, s := range sights {
		_, text, _ := h.guest("Remote-User", s.login, "Accept-Language", language).ask("GET", s.path, "")
		all = append(all, browser.Page{Name: s.name + "-" + language, HTML: text})
	}
	return all
}

// Every page in every state has no barrier in light and dark, and fits a phone, a large window, a zoom of 400 % and
// wide letters; its texts fit in every language. "make pictures" opens each of them by itself.
func TestThePagesAreForEverybody(t *testing.T) {
	t.Parallel()
	h := open(t, withBoss+mailboxTable)
	sights := append(h.sights(), h.clawSights()...)
	english := h.pages("en", sights)
	all := slices.Clone(english)
	sights = slices.DeleteFunc(sights, sight.same)
	for _, language := range languages[1:] {
		all = append(all, h.pages(language, sights)...)
	}
	b := browser.Open(t)
	b.Header("Remote-User", "anna")
	b.GoTo(h.url + "/m/" + h.ids["Lunch"])
	h.redis.Kill()
	for _, language := range languages {
		all = append(all, h.pages(language, []sight{h.away()})...)
	}
	english = append(english, h.pages("en", []sight{h.away()})...)
	script, err := os.ReadFile("static/page.js")
	if err != nil {
		t.Fatal(err)
	}
	pages := b.Pages(string(script), all)
	for _, width := range []int64{320, 1280} {
		b.Window(width, 800, 1)
		pages.Fit(fmt.Sprint("at ", width))
	}
	pages = b.Pages(string(script), english)
	pages.Accessible("")
	pages.Find("it moves", whatMoves)
	b.Prefers("screen", "prefers-color-scheme", "dark")
	pages.Accessible(" in the dark", browser.Colours...)
	b.Prefers("print")
	pages.Fit("on paper")
	b.Prefers("screen", "prefers-color-scheme", "light")
	b.Window(320, 256, 4)
	pages.Fit("at 400 %")
	browser.JS[bool](b, wideLetters)
	pages.Fit("with wide letters")
}

// languages are those of the page.
var languages = strings.Fields("en de fr es ja zh")

// away is the page of a message with the store away.
func (h *house) away() sight { return sight{"store-away", "anna", "/m/" + h.ids["Lunch"]} }

// Pictures of every page in every state, in every language, for people to look at; meanwhile each page is tried as
// TestThePagesAreForEverybody does it, and with all rules in the dark.
func TestPicturesOfEveryState(t *testing.T) {
	t.Parallel()
	if os.Getenv("SCREENSHOTS") == "" {
		t.Skip("make pictures takes them")
	}
	h := open(t, withBoss+mailboxTable)
	sights := append(h.sights(), h.clawSights()...)
	b := browser.Open(t)
	for _, language := range languages {
		b.Header("Accept-Language", language)
		for _, s := range sights {
			if language == "en" {
				h.look(b, s)
			} else if !s.same() {
				b.Header("Remote-User", s.login)
				b.GoTo(h.url + s.path)
				b.Look(s.name+"-"+language, "320", "1280")
			}
		}
	}
	h.redis.Kill()
	b.Header("Accept-Language", "en")
	h.look(b, h.away())
}

// wideLetters are the spaces that WCAG 1.4.12 asks for.
const wideLetters = `{
	const sheet = new CSSStyleSheet();
	sheet.replaceSync("* { line-height: 1.5 !important; letter-spacing: .12em !important; }" +
		"p { margin-bottom: 2em !important; word-spacing: .16em !important; }");
	document.adoptedStyleSheets.push(sheet);
	true;
}`

// whatMoves lists what is animated. Nothing is, whatever people prefer.
const whatMoves = `[...document.querySelectorAll("*")].filter(el => {
	const style = getComputedStyle(el);
	return style.transitionDuration !== "0s" || style.animationName !== "none";
}).map(el => el.outerHTML.slice(0, 120)).join("\n")`

// look opens a page in English, and looks at it as people do who see differently.
func (h *house) look(b *browser.Browser, s sight) {
	h.t.Helper()
	name := s.name
	b.Header("Remote-User", s.login)
	b.GoTo(h.url + s.path)
	b.Look(name+"-en", "320", "1280")
	b.Accessible(name)
	b.Prefers("screen", "prefers-color-scheme", "dark")
	b.Accessible(name + " in the dark")
	b.Picture(name + "-dark")
	b.Prefers("print")
	b.Fits(name + " on paper")
	b.Picture(name + "-print")
	b.Prefers("screen", "prefers-color-scheme", "light")
	if moving := browser.JS[string](b, whatMoves); moving != "" {
		h.t.Errorf("%s moves:\n%s", name, moving)
	}
	b.Window(320, 256, 4)
	b.Fits(name + " at 400 %")
	browser.JS[bool](b, wideLetters)
	b.Fits(name + " with wide letters")
}
