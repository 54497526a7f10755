package policy

import (
	"strings"
	"testing"
)

// What each condition takes: lists with exclusions, all recipients, text that is decoded, values that are not there.
func TestConditions(t *testing.T) {
	header := func(name string, list ...string) []HeaderCondition {
		return []HeaderCondition{{name, patterns(t, list...)}}
	}
	base := Facts{Known: AtEnd, Sender: "a@corp.test", Recipients: []string{"b@corp.test", "c@far.test"},
		Header: []Field{{"Subject", " =?x?=secret"}, {"List-Id", "<l.corp.test>"}, {"List-Id", "<m.corp.test>"}}}
	for name, c := range map[string]struct {
		rule Rule
		want answer
	}{
		"an exclusion among senders":        {Rule{Sender: patterns(t, "*@corp.test", "!a@*")}, no},
		"one recipient":                     {Rule{Recipient: patterns(t, "*@far.test")}, yes},
		"one recipient, not excluded":       {Rule{Recipient: patterns(t, "*@far.test", "!c@*")}, no},
		"one recipient elsewhere":           {Rule{Recipient: patterns(t, "!*@corp.test")}, yes},
		"all recipients":                    {Rule{AllRecipients: patterns(t, "*.test")}, yes},
		"not all recipients":                {Rule{AllRecipients: patterns(t, "*@corp.test")}, no},
		"all recipients, one excluded":      {Rule{AllRecipients: patterns(t, "*", "!c@far.test")}, no},
		"both":                              {Rule{AllRecipients: patterns(t, "*.test"), Recipient: patterns(t, "b@*")}, yes},
		"no login":                          {Rule{Login: patterns(t, "*")}, no},
		"no login, by exclusion":            {Rule{Login: patterns(t, "!robot")}, no},
		"text is decoded":                   {Rule{Header: header("subject", "decoded secret")}, yes},
		"a field that is absent":            {Rule{Header: header("Auto-Submitted", "!no")}, no},
		"one of several fields":             {Rule{Header: header("List-Id", "<m.*")}, yes},
		"a name is no other for a long s":   {Rule{Header: header("\u017fubject", "*")}, no},
		"sendmail(1) is the gateway itself": {Rule{Client: networks(t, "127.0.0.0/8")}, yes},
		"sendmail(1) is not from elsewhere": {Rule{Client: networks(t, "!127.0.0.0/8")}, no},
		"no condition":                      {Rule{}, yes},
	} {
		p := NewOutbound(Options{Rules: []Rule{c.rule},
			Decode: func(v string) string { return strings.ReplaceAll(strings.TrimSpace(v), "=?x?=", "decoded ") }})
		if got := p.meets(0, &base, &Verdict{}); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

func TestNumbersOfRecipientsAndOfTheirDomains(t *testing.T) {
	t.Parallel()
	two := 2
	local := patterns(t, "corp.test", "*.corp.test")
	to := []string{"a@corp.test", "b@lab.corp.test", "c@x.test", "d@X.test", "e@y.test"}
	for _, c := range []struct {
		rule Rule
		n    int
		want bool
	}{
		{Rule{Recipients: Bound{Above: &two}}, 2, false}, {Rule{Recipients: Bound{Above: &two}}, 3, true},
		{Rule{Recipients: Bound{Below: &two}}, 1, true}, {Rule{Recipients: Bound{Below: &two}}, 2, false},
		{Rule{ExternalDomains: Bound{Below: &two}}, 4, true}, {Rule{ExternalDomains: Bound{Below: &two}}, 5, false},
		{Rule{ExternalDomains: Bound{Above: new(int)}}, 2, false}, {Rule{ExternalDomains: Bound{Above: new(int)}}, 3, true},
	} {
		p := NewOutbound(Options{LocalDomains: local, Rules: []Rule{c.rule}})
		f := Facts{Known: AtEnd, Recipients: to[:c.n]}
		if got := p.meets(0, &f, &Verdict{}); got != truth(c.want) {
			t.Errorf("%v %v with %d recipients: %v", c.rule.Recipients, c.rule.ExternalDomains, c.n, got)
		}
	}
}
