package web_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/recall-milter/recall-milter/test/browser"
)

// The pictures of the manual, which "make pictures" writes into docs/pictures.
func TestThePicturesOfTheManual(t *testing.T) {
	t.Parallel()
	folder := os.Getenv("PICTURES")
	h := open(t, withBoss)
	text := "Dear Bert,\r\n\r\nthe prices of next year are attached. Please don't pass them on.\r\n\r\nAnna"
	h.leave(h.ids["of anna"])
	h.leave(h.mail("Lunch on Friday", time.Hour, "At noon?", "carla@example.org"))
	asked := h.answered(text)
	id := h.mail("Price list 2027", 2*time.Minute, text, "bert@example.com", "carla@example.org", "all@example.net")
	b := browser.Open(t)
	b.Header("Remote-User", "anna")
	b.Window(720, 640, 1)
	b.GoTo(h.url + "/m/" + id)
	b.Until("it counts down", `document.querySelector(".clock").innerText.includes(":")`)
	b.Illustrate(folder, "held")
	b.Do("choose", chromedp.Click("#some-open"), chromedp.Click("#only-2"))
	b.Window(390, 844, 1)
	browser.JS[bool](b, `document.activeElement.blur(), document.getElementById("some").scrollIntoView(), true`)
	b.Illustrate(folder, "some")
	b.Window(720, 560, 1)
	b.Click("recall-some")
	b.Sees("taken back, never sent")
	b.Click("recall")
	b.Sees("Taken back. Nobody will get it.")
	b.Illustrate(folder, "recalled")
	b.Window(720, 700, 1)
	b.GoTo(h.url + "/m/" + asked)
	b.Illustrate(folder, "asked")
	h.mail("Minutes of the meeting", 10*time.Minute, text, "team@example.org")
	b.GoTo(h.url + "/")
	b.Until("it counts down", `document.querySelector(".clock").innerText.includes(":")`)
	b.Illustrate(folder, "list")
	b.Header("Remote-User", "boss")
	b.GoTo(h.url + "/operator/?state=all")
	b.Window(720, 760, 1)
	b.Illustrate(folder, "operator")
}

// Every picture that the manual shows is there, and says in words what it shows.
func TestTheManualShowsPicturesThatExist(t *testing.T) {
	t.Parallel()
	shown := regexp.MustCompile(`!\[([^\]]*)\]\(([^)]+)\)`)
	files, _ := filepath.Glob("../../docs/*.md")
	n := 0
	for _, f := range append(files, "../../README.md") {
		source, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range shown.FindAllSubmatch(source, -1) {
			n++
			info, err := os.Stat(filepath.Join(filepath.Dir(f), string(m[2])))
			if err != nil || info.Size() > browser.PictureMost || len(m[1]) < 10 {
				t.Error(fmt.Errorf("%s: %s: %w", f, m[0], err))
			}
		}
	}
	if n < 6 {
		t.Errorf("only %d pictures are shown", n)
	}
}
