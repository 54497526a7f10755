package test

import (
	"net/smtp"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/recall-milter/recall-milter/test/server"
)

// recipe returns the config and the commands below a heading of docs/rules.md.
func recipe(t *testing.T, heading string) (config string, commands []string) {
	t.Helper()
	_, text, found := strings.Cut(page(t, "rules.md"), "\n### "+heading)
	blocks := regexp.MustCompile("(?s)```toml\n(.*?)```.*?```console\n(.*?)```").FindStringSubmatch(text)
	if !found || blocks == nil {
		t.Fatalf("rules.md has no recipe %q", heading)
	}
	for line := range strings.Lines(blocks[2]) {
		if command, ok := strings.CutPrefix(line, "$ "); ok {
			commands = append(commands, command)
		}
	}
	return blocks[1], commands
}

// The people of two domains have different settings, texts and reports, by the recipe of the manual.
func TestDomainsHaveTheirOwnSettingsTextsAndReports(t *testing.T) {
	t.Parallel()
	g := startGateway(t, "1h")
	config, commands := recipe(t, "Several domains")
	g.types(filepath.Dir(g.conf), commands[0])
	g.configure(config)
	submit := func(id, from, to, subject string) {
		g.submitted(id, func() error {
			return smtp.SendMail(g.mta.smtp, nil, from, []string{to}, []byte("From: "+from+"\r\nTo: "+to+"\r\nSubject: "+
				subject+"\r\nMessage-ID: <"+id+">\r\n\r\nbody of "+id+"\r\n"))
		})
	}
	got := func(to, text string) bool {
		for _, d := range g.sink.Got() {
			if strings.HasPrefix(d.Rcpt[0], "<"+to+">") && strings.Contains(string(d.Data), text) &&
				strings.Contains(string(d.Data), "From: Message recall <recall@"+to[strings.IndexByte(to, '@')+1:]+">") {
				return true
			}
		}
		return false
	}
	submit("one@bank.test", "anna@bank.test", "b@x.test", "prices")
	submit("one@shop.test", "bert@shop.test", "b@x.test", "prices")
	server.Eventually(t, "who works at the bank is told that their mail waits, and why", func() bool {
		return got("anna@bank.test", "Post der Bank wartet zehn Minuten.")
	})
	submit("c1@bank.test", "anna@bank.test", "recall@bank.test", "RECALL <one@bank.test>")
	submit("c1@shop.test", "bert@shop.test", "recall@shop.test", "RECALL <one@shop.test>")
	submit("c2@shop.test", "bert@shop.test", "recall@shop.test", "RECALL <nothing@shop.test>")
	server.Eventually(t, "the bank hears of a success, in its words", func() bool {
		return got("anna@bank.test", "Ihre Nachricht hat die Bank nicht verlassen.")
	})
	server.Eventually(t, "the shop hears of a failure, in English", func() bool {
		return got("bert@shop.test", "Nothing was recalled.")
	})
	if got("bert@shop.test", "Waiting until") || got("bert@shop.test", "was recalled before it left") {
		t.Error("the shop is told what it does not want to know")
	}
	for _, id := range []string{"one@bank.test", "one@shop.test"} {
		if state := g.state(id); state != "recalled" {
			t.Errorf("%s is %s", id, state)
		}
	}
}
