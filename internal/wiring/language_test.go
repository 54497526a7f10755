package wiring

import (
	"testing"

	"github.com/recall-milter/recall-milter/internal/config"
)

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
