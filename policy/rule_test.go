package policy

import (
	"strings"
	"testing"
)

// What each condition takes: lists with exclusions, all recipients, text that is decoded, values that are not there.
func TestConditions(t *testing.T) {
	header := func(name string, list ...string) Condition { return IfHeader(name, patterns(t, list...)) }
	base := Facts{Known: AtEnd, Sender: "a@corp.test", Recipients: []string{"b@corp.test", "c@far.test"},
		Header: []Field{{"Subject", " =?x?=secret"}, {"List-Id", "<l.corp.test>"}, {"List-Id", "<m.corp.test>"}}}
	for name, c := range map[string]struct {
		conditions []Condition
		want       answer
	}{
		"an exclusion among senders":   {[]Condition{IfSender(patterns(t, "*@corp.test", "!a@*"))}, no},
		"one recipient":                {[]Condition{IfRecipient(patterns(t, "*@far.test"))}, yes},
		"one recipient, not excluded":  {[]Condition{IfRecipient(patterns(t, "*@far.test", "!c@*"))}, no},
		"one recipient elsewhere":      {[]Condition{IfRecipient(patterns(t, "!*@corp.test"))}, yes},
		"all recipients":               {[]Condition{IfAllRecipients(patterns(t, "*.test"))}, yes},
		"not all recipients":           {[]Condition{IfAllRecipients(patterns(t, "*@corp.test"))}, no},
		"all recipients, one excluded": {[]Condition{IfAllRecipients(patterns(t, "*", "!c@far.test"))}, no},
		"both": {[]Condition{IfAllRecipients(patterns(t, "*.test")),
			IfRecipient(patterns(t, "b@*"))}, yes},
		"no login":                          {[]Condition{IfLogin(patterns(t, "*"))}, no},
		"no login, by exclusion":            {[]Condition{IfLogin(patterns(t, "!robot"))}, no},
		"text is decoded":                   {[]Condition{header("subject", "decoded secret")}, yes},
		"a field that is absent":            {[]Condition{header("Auto-Submitted", "!no")}, no},
		"one of several fields":             {[]Condition{header("List-Id", "<m.*")}, yes},
		"a name is no other for a long s":   {[]Condition{header("\u017fubject", "*")}, no},
		"sendmail(1) is the gateway itself": {[]Condition{IfClient(networks(t, "127.0.0.0/8"))}, yes},
		"sendmail(1) is not from elsewhere": {[]Condition{IfClient(networks(t, "!127.0.0.0/8"))}, no},
		"no condition":                      {nil, yes},
	} {
		p := NewOutbound(Options{Rules: []Rule{{Conditions: c.conditions}},
			Decode: func(v string) string { return strings.ReplaceAll(strings.TrimSpace(v), "=?x?=", "decoded ") }})
		if got := p.meets(&p.o.Rules[0], &base, &Verdict{}); got != c.want {
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
		condition Condition
		n         int
		want      bool
	}{
		{IfRecipients(Bound{Above: &two}), 2, false}, {IfRecipients(Bound{Above: &two}), 3, true},
		{IfRecipients(Bound{Below: &two}), 1, true}, {IfRecipients(Bound{Below: &two}), 2, false},
		{IfExternalDomains(Bound{Below: &two}), 4, true}, {IfExternalDomains(Bound{Below: &two}), 5, false},
		{IfExternalDomains(Bound{Above: new(int)}), 2, false}, {IfExternalDomains(Bound{Above: new(int)}), 3, true},
	} {
		p := NewOutbound(Options{LocalDomains: local, Rules: []Rule{{Conditions: []Condition{c.condition}}}})
		f := Facts{Known: AtEnd, Recipients: to[:c.n]}
		if got := p.meets(&p.o.Rules[0], &f, &Verdict{}); got != truth(c.want) {
			t.Errorf("%s with %d recipients: %v", c.condition.words, c.n, got)
		}
	}
}
