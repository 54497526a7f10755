package wiring

import (
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/internal/config"
)

func TestTheClockOfTheSiteIsThatOfItsRules(t *testing.T) {
	t.Parallel()
	c := &config.Config{}
	at := time.Date(2026, 11, 30, 7, 0, 0, 0, time.UTC)
	for zone, want := range map[string]string{"Asia/Kathmandu": "12:45 +0545", "": at.Local().Format("15:04 MST"),
		"nowhere": at.Local().Format("15:04 MST")} {
		c.Hold.Zone = zone
		if got := Site(c).Clock(at).Format("15:04 MST"); got != want {
			t.Errorf("%q: %s, want %s", zone, got, want)
		}
	}
}

func TestTheRuleComesBeforeTheDomain(t *testing.T) {
	t.Parallel()
	c := &config.Config{}
	c.Web.Languages = []string{"fr", "en"}
	c.Recall.Languages = map[string]string{"Corp.de": "de"}
	c.Hold.Rules = []config.Rule{{Name: "tokyo", Language: "ja"}, {Name: "all"}}
	of := languageOf(c)
	for _, e := range []struct{ rule, sender, want string }{{"tokyo", "a@corp.de", "ja"}, {"all", "a@CORP.DE", "de"},
		{"", "a@corp.de", "de"}, {"all", "a@corp.test", "fr"}, {"default", "", "fr"}} {
		if got := of(e.rule, e.sender); got != e.want {
			t.Errorf("%v: %s", e, got)
		}
	}
}
