package policy

import (
	"net/netip"
	"testing"
	"time"
)

func TestDecide(t *testing.T) {
	p := NewOutbound(Options{
		Authenticated: true, Networks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, DaemonNames: []string{"ORIGINATING"},
		Grace: 2 * time.Minute, MaxGrace: time.Hour, RequestHeader: "X-Hold-For", ParseDuration: time.ParseDuration,
		Rules: []Rule{
			{Name: "robots", Sender: []string{"robot@*"}},
			{Name: "executives", Sender: []string{"ceo@*"}, Recipient: []string{"!*@corp.test"}, Grace: 10 * time.Minute},
		},
	})
	base := Facts{Known: AtHeaders, Login: "a", Client: netip.MustParseAddr("192.0.2.1"), Sender: "a@corp.test", Recipients: []string{"b@x.test"}}
	with := func(change func(*Facts)) Facts { f := base; change(&f); return f }
	wish := func(value string, more ...Field) Facts {
		return with(func(f *Facts) { f.Header = append([]Field{{"x-hold-for", value}}, more...) })
	}
	for name, c := range map[string]struct {
		facts   Facts
		certain bool
		grace   time.Duration
		rule    string
		removed string
	}{
		"login":                     {base, true, 2 * time.Minute, "default", ""},
		"inbound":                   {with(func(f *Facts) { f.Login = "" }), true, 0, "", ""},
		"by network":                {with(func(f *Facts) { f.Login = ""; f.Client = netip.MustParseAddr("::ffff:127.0.0.1") }), true, 2 * time.Minute, "default", ""},
		"by service":                {with(func(f *Facts) { f.Login = ""; f.DaemonName = "ORIGINATING" }), true, 2 * time.Minute, "default", ""},
		"sendmail(1)":               {with(func(f *Facts) { f.Login = ""; f.Client = netip.Addr{} }), true, 2 * time.Minute, "default", ""},
		"null sender":               {with(func(f *Facts) { f.Sender = "" }), true, 0, "", ""},
		"at MAIL":                   {with(func(f *Facts) { f.Known = AtMail }), false, 0, "", ""},
		"ours":                      {with(func(f *Facts) { f.Ours = true }), true, 0, "", ""},
		"rule passes":               {with(func(f *Facts) { f.Sender = "Robot@corp.test" }), true, 0, "robots", ""},
		"one recipient outside":     {with(func(f *Facts) { f.Sender = "ceo@corp.test"; f.Recipients = []string{"x@corp.test", "y@x.test"} }), true, 10 * time.Minute, "executives", ""},
		"all recipients inside":     {with(func(f *Facts) { f.Sender = "ceo@corp.test"; f.Recipients = []string{"x@corp.test"} }), true, 2 * time.Minute, "default", ""},
		"wish":                      {wish(" 10m"), true, 10 * time.Minute, "default", "x-hold-for"},
		"wish for nothing":          {wish(" 0"), true, 0, "default", "x-hold-for"},
		"wish capped":               {wish(" 48h"), true, time.Hour, "default", "x-hold-for"},
		"wish not understood":       {wish(" soon"), true, 2 * time.Minute, "default", "x-hold-for"},
		"wish covered by signature": {wish(" 10m", Field{"DKIM-Signature", " v=1; h=From:\r\n\tX-Hold-For; b=="}), true, 10 * time.Minute, "default", ""},
	} {
		v := p.Decide(c.facts)
		if v.Certain != c.certain || v.Grace != c.grace || v.Hold != (c.grace > 0) || v.Rule != c.rule || v.Wish != c.removed {
			t.Errorf("%s: %+v", name, v)
		}
	}
}
