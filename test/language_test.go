package test

import (
	"mime"
	"net/mail"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/choice"
	"github.com/recall-milter/recall-milter/test/server"
)

func TestANoticeIsInTheLanguageOfTheSendersDomainAndMailWaitsAsTheyHaveChosen(t *testing.T) {
	t.Parallel()
	g := startOffice(t, "1h", `notice = "always"`, `languages = { "corp.test" = "ja" }`, `[[hold.rule]]
name = "first"
recipient = ["bert@*"]
reason = { ja = "初めての宛先です。", en = "A new recipient." }`)
	g.change("grace = \"1h\"", "grace = \"1h\"\nzone = \"Asia/Kathmandu\"")
	g.configure("")
	g.message("anna", "japanese@corp.test", "bert@x.test")
	server.Eventually(t, "anna has a notice in Japanese", func() bool {
		for _, d := range g.sink.Got() {
			m, err := mail.ReadMessage(strings.NewReader(string(d.Data)))
			if err != nil {
				continue
			}
			subject, err := (&mime.WordDecoder{}).DecodeHeader(m.Header.Get("Subject"))
			if err == nil && strings.Contains(subject, "まで待機中: the price list") &&
				strings.Contains(string(d.Data), "メールは待機中です。") && strings.Contains(string(d.Data), " (+0545)") &&
				strings.Contains(string(d.Data), "規則「first」により待機しています。\r\n初めての宛先です。") {
				return true
			}
		}
		return false
	})
	g.waitsAsChosen()
}

// waitsAsChosen has anna choose her own grace, which counts for mail that no rule with a grace holds.
func (g *gateway) waitsAsChosen() {
	g.t.Helper()
	store, err := holdstore.Open(holdstore.Options{Addresses: []string{g.redis.Addr}})
	g.must(err)
	defer store.Close()
	own := 3 * time.Hour
	g.must(store.ChooseGrace(g.t.Context(), choice.Names("", "anna@corp.test"), &own, holdstore.Actor{By: "anna"}))
	g.change("grace = \"1h\"", "grace = \"1h\"\nown_grace = [\"0s\", \"4h\"]")
	g.must(g.daemon.Process.Signal(syscall.SIGHUP))
	g.said("reloaded: ")
	g.message("anna", "chosen@corp.test", "carl@x.test")
	g.message("bert", "usual@corp.test", "carl@x.test")
	for id, want := range map[string]time.Duration{"chosen@corp.test": own, "usual@corp.test": time.Hour} {
		holds, err := store.Resolve(g.t.Context(), "<"+id+">")
		if err != nil || len(holds) != 1 || holds[0].Grace != want {
			g.t.Errorf("%s: %v %+v, want %v", id, err, holds, want)
		}
	}
}
