package policy

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func patterns(t *testing.T, texts ...string) Patterns {
	t.Helper()
	l, err := ParsePatterns(texts)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func networks(t *testing.T, texts ...string) Networks {
	t.Helper()
	n, err := ParseNetworks(texts)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestDecide(t *testing.T) {
	p := NewOutbound(Options{
		Authenticated: true, Networks: networks(t, "127.0.0.0/8"), DaemonNames: []string{"ORIGINATING"},
		Grace: 2 * time.Minute, MaxGrace: time.Hour, RequestHeader: "X-Hold-For", Wish: WishAny,
		ParseDuration: time.ParseDuration,
		Rules: []Rule{
			{Name: "robots", Conditions: []Condition{IfSender(patterns(t, "robot@*"))}},
			{Name: "automatic", Conditions: []Condition{IfHeader("Auto-Submitted", patterns(t, "!no"))}},
			{Name: "executives", Conditions: []Condition{IfSender(patterns(t, "ceo@*")),
				IfRecipient(patterns(t, "!*@corp.test"))}, Grace: 10 * time.Minute},
			{Name: "large", Conditions: []Condition{IfSender(patterns(t, "/^big[0-9]+@/")), IfLarger(5 << 20)},
				Grace: time.Minute},
			{Name: "list", Conditions: []Condition{IfLogin(patterns(t, "lists")),
				IfClient(networks(t, "192.0.2.0/24")), IfSmaller(1 << 20)}},
		},
	})
	base := Facts{Known: AtHeaders, Login: "a", Client: netip.MustParseAddr("192.0.2.1"), Sender: "a@corp.test",
		Recipients: []string{"b@x.test"}}
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
		"login":   {base, true, 2 * time.Minute, "default", ""},
		"inbound": {with(func(f *Facts) { f.Login = "" }), true, 0, "", ""},
		"by network": {with(func(f *Facts) { f.Login = ""; f.Client = netip.MustParseAddr("::ffff:127.0.0.1") }), true,
			2 * time.Minute,
			"default", ""},
		"by service": {with(func(f *Facts) { f.Login = ""; f.DaemonName = "ORIGINATING" }), true, 2 * time.Minute, "default",
			""},
		"sendmail(1)": {with(func(f *Facts) { f.Login = ""; f.Client = netip.Addr{} }), true, 2 * time.Minute, "default", ""},
		"null sender": {with(func(f *Facts) { f.Sender = "" }), true, 0, "", ""},
		"at MAIL":     {with(func(f *Facts) { f.Known = AtMail }), false, 2 * time.Minute, "default", ""},
		"ours":        {with(func(f *Facts) { f.Ours = true }), true, 0, "", ""},
		"rule passes": {with(func(f *Facts) { f.Sender = "Robot@corp.test" }), true, 0, "robots", ""},
		"one recipient outside": {with(func(f *Facts) {
			f.Sender, f.Recipients = "ceo@corp.test", []string{"x@corp.test", "y@x.test"}
		}), true,
			10 * time.Minute, "executives", ""},
		"all recipients inside": {with(func(f *Facts) { f.Sender = "ceo@corp.test"; f.Recipients = []string{"x@corp.test"} }),
			true, 2 * time.Minute,
			"default", ""},
		"automatic": {with(func(f *Facts) { f.Header = []Field{{"auto-submitted", " auto-generated"}} }), true,
			0, "automatic", ""},
		"said not to be automatic": {with(func(f *Facts) { f.Header = []Field{{"Auto-Submitted", " no"}} }), true,
			2 * time.Minute, "default", ""},
		"size open": {with(func(f *Facts) { f.Sender = "big7@corp.test" }), false, time.Minute, "large", ""},
		"large": {with(func(f *Facts) { f.Sender, f.Known, f.Size = "big7@corp.test", AtEnd, 6<<20 }),
			true, time.Minute, "large", ""},
		"not large": {with(func(f *Facts) { f.Sender, f.Known, f.Size = "big7@corp.test", AtEnd, 4<<20 }),
			true, 2 * time.Minute, "default", ""},
		"pass open":       {with(func(f *Facts) { f.Login = "lists" }), false, 2 * time.Minute, "default", ""},
		"pass at the end": {with(func(f *Facts) { f.Login, f.Known, f.Size = "lists", AtEnd, 1 }), true, 0, "list", ""},
		"wish for nothing, size open": {with(func(f *Facts) {
			f.Sender, f.Header = "big7@corp.test",
				[]Field{{"X-Hold-For", " 0"}}
		}), true, 0, "large", "X-Hold-For"},
		"wish":                {wish(" 10m"), true, 10 * time.Minute, "default", "x-hold-for"},
		"wish for nothing":    {wish(" 0"), true, 0, "default", "x-hold-for"},
		"wish capped":         {wish(" 48h"), true, time.Hour, "default", "x-hold-for"},
		"wish not understood": {wish(" soon"), true, 2 * time.Minute, "default", "x-hold-for"},
		"wish covered by signature": {wish(" 10m", Field{"DKIM-Signature", " v=1; h=From:\r\n\tX-Hold-For; b=="}), true,
			10 * time.Minute, "default", ""},
	} {
		v := p.Decide(c.facts)
		if v.Certain != c.certain || v.Grace != c.grace || v.Hold != (c.grace > 0) || v.Rule != c.rule ||
			strings.Join(v.Wishes, " ") != c.removed {
			t.Errorf("%s: %+v", name, v)
		}
	}
}

// A verdict that was certain must be the one of every later stage.
func TestCertainVerdictsStay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		word := rapid.SampledFrom([]string{"a", "b", "c"})
		maybe := func(name string) Patterns {
			if rapid.Bool().Draw(t, name+" is asked for") {
				p, _ := ParsePatterns([]string{word.Draw(t, name)})
				return p
			}
			return nil
		}
		grace := rapid.SampledFrom([]time.Duration{0, time.Minute, time.Hour})
		wishes := rapid.SampledFrom([]Wish{WishAsSite, WishLonger, WishAny, WishIgnore})
		o := Options{Authenticated: true, Grace: grace.Draw(t, "default"), MaxGrace: 30 * time.Minute,
			ParseDuration: time.ParseDuration,
			Wish:          wishes.Draw(t, "wish"),
			RequestHeader: rapid.SampledFrom([]string{"", "X-Hold-For"}).Draw(t, "request header")}
		for n := range rapid.IntRange(0, 4).Draw(t, "rules") {
			r := Rule{Name: string(rune('A' + n)), Grace: grace.Draw(t, "grace"),
				Wish: wishes.Draw(t, "wish of the rule")}
			for name, condition := range []func(Patterns) Condition{IfSender, IfRecipient, IfLogin, IfAllRecipients,
				func(l Patterns) Condition { return IfHeader("H", l) }} {
				r.Conditions = append(r.Conditions, when(condition, maybe(fmt.Sprint(name)))...)
			}
			if rapid.Bool().Draw(t, "a size is asked for") {
				r.Conditions = append(r.Conditions, IfLarger(10))
			}
			o.Rules = append(o.Rules, r)
		}
		f := Facts{Login: word.Draw(t, "login"), Sender: word.Draw(t, "sender"),
			Recipients: rapid.SliceOfN(word, 1, 3).Draw(t, "recipients"),
			Size:       rapid.Int64Range(0, 20).Draw(t, "size"), Header: []Field{{"H", word.Draw(t, "h")}},
			Ours: rapid.Bool().Draw(t, "ours")}
		if w := rapid.SampledFrom([]string{"", "0", "5m", "9h", "?"}).Draw(t, "wish"); w != "" {
			f.Header = append(f.Header, Field{"X-Hold-For", w})
		}
		p := NewOutbound(o)
		f.Known = AtEnd
		end := p.Decide(f)
		if !end.Certain {
			t.Fatalf("nothing is certain at the end: %+v", end)
		}
		for _, f.Known = range []Stage{AtMail, AtHeaders} {
			v := p.Decide(f)
			if v.Certain && (v.Hold != end.Hold || v.Hold && (v.Grace != end.Grace || v.Rule != end.Rule)) {
				t.Fatalf("stage %d said %+v, the end says %+v", f.Known, v, end)
			}
			if !v.Hold && !v.Certain && f.Known == AtHeaders {
				t.Fatalf("a message that may be held must be begun: %+v", v)
			}
		}
	})
}
