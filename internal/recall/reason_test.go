package recall

import (
	"strings"
	"testing"

	"github.com/recall-milter/recall-milter/internal/post"
	"github.com/recall-milter/recall-milter/policy"
)

// A rule says in the site's words why its mail waits, and whether its senders are told at once.
func TestARuleSaysWhyAndWhetherItsSendersAreTold(t *testing.T) {
	o := newOffice(t, func(o *Options) { o.Notice = "always" })
	yes, no := true, false
	o.rules["board"] = policy.Rule{Name: "board", Notice: &yes}
	o.rules["quiet"] = policy.Rule{Name: "quiet", Notice: &no}
	o.o.Texts.Use(post.Site{Language: func(string, string) string { return "en" },
		Reason: func(rule, language string) string {
			return map[string]string{"board en": "Mail of the board waits.\r\nBcc: x"}[rule+" "+language]
		}})
	for _, e := range []struct {
		rule, notice string
		told         bool
	}{{"board", "never", true}, {"board", "always", true}, {"quiet", "always", false}, {"default", "always", true},
		{"default", "never", false}} {
		o.o.Notice, o.rules["default"] = e.notice, policy.Rule{}
		o.tick()
		mid := "<" + e.rule + e.notice + "@corp.test>"
		l := mailBy("anna", "Subject: prices\r\nMessage-ID: "+mid+"\r\n\r\nbody\r\n", "b@x.test")
		l.rule = e.rule
		id := o.mustSubmit(l)
		o.post()
		notice := o.reports[mid]
		if told := notice != ""; told != e.told {
			t.Errorf("%v: told %v\n%s", e, told, notice)
		}
		why := "It waits because of the rule \"board\".\r\nMail of the board waits."
		if strings.Contains(notice, why) != (e.rule == "board") || strings.Contains(notice, "\nBcc:") {
			t.Errorf("%v: the notice\n%s", e, notice)
		}
		answer := o.command("anna", "Subject: RECALL "+id+"\r\n", "")
		if strings.Contains(answer, "Reason:     Mail of the board waits.") != (e.rule == "board") {
			t.Errorf("%v: the report\n%s", e, answer)
		}
	}
}
