package test

import (
	"mime"
	"net/mail"
	"strings"
	"testing"

	"github.com/recall-milter/recall-milter/test/server"
)

func TestANoticeIsInTheLanguageOfTheSendersDomain(t *testing.T) {
	t.Parallel()
	g := startOffice(t, "1h", `notice = "always"`, `languages = { "corp.test" = "ja" }`, `[[hold.rule]]
name = "first"
recipient = ["bert@*"]
reason = { ja = "初めての宛先です。", en = "A new recipient." }`)
	g.message("anna", "japanese@corp.test", "bert@x.test")
	server.Eventually(t, "anna has a notice in Japanese", func() bool {
		for _, d := range g.sink.Got() {
			m, err := mail.ReadMessage(strings.NewReader(string(d.Data)))
			if err != nil {
				continue
			}
			subject, err := (&mime.WordDecoder{}).DecodeHeader(m.Header.Get("Subject"))
			if err == nil && strings.Contains(subject, "まで待機中: the price list") &&
				strings.Contains(string(d.Data), "メールは待機中です。") &&
				strings.Contains(string(d.Data), "規則「first」により待機しています。\r\n初めての宛先です。") {
				return true
			}
		}
		return false
	})
}
