package policy

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
)

// Without a rule's permission, a wish only lengthens a hold.
func TestWhatAWishMayDo(t *testing.T) {
	for _, c := range []struct {
		site, rule Wish
		wish       string
		want       time.Duration
		reason     string
	}{
		{WishLonger, WishAsSite, "10m", 10 * time.Minute, "asked for 10m"},
		{WishLonger, WishAsSite, "0", time.Minute, "rule r: grace 1m; asked for 0s, which is not longer"},
		{WishLonger, WishAsSite, "30s", time.Minute, "which is not longer"},
		{WishLonger, WishAsSite, "48h", time.Hour, "asked for 48h, capped to 1h"},
		{WishLonger, WishAny, "0", 0, "asked for 0s"},
		{WishLonger, WishIgnore, "10m", time.Minute, "; wish ignored"},
		{WishAny, WishAsSite, "30s", 30 * time.Second, "asked for 30s"},
		{WishAny, WishLonger, "30s", time.Minute, "which is not longer"},
		{WishIgnore, WishAsSite, "10m", time.Minute, "; wish ignored"},
		{WishIgnore, WishLonger, "10m", 10 * time.Minute, "asked for 10m"},
		{WishAny, WishAny, "-5m", time.Minute, "; wish not understood"},
	} {
		p := NewOutbound(Options{Authenticated: true, MaxGrace: time.Hour, RequestHeader: "X-Hold-For", Wish: c.site,
			Rules:         []Rule{{Name: "r", Grace: time.Minute, Wish: c.rule}},
			ParseDuration: positive})
		v := p.Decide(Facts{Known: AtHeaders, Login: "a", Sender: "a@x", Recipients: []string{"b@x"},
			Header: []Field{{"X-Hold-For", " " + c.wish}}})
		if v.Grace != c.want || v.Hold != (c.want > 0) || !strings.HasSuffix(v.Reason.Text, c.reason) || !v.Certain ||
			!slices.Equal(v.Wishes, []string{"X-Hold-For"}) {
			t.Errorf("site %q, rule %q, wish %s: %+v", c.site, c.rule, c.wish, v)
		}
	}
}

// A moment is a wish as a grace is: within the range of the site, and never sooner than the rule lets it.
func TestAWishCanBeAMoment(t *testing.T) {
	now := instant(t, "2026-11-27 17:00") // a Friday
	for _, c := range []struct {
		wish    Wish
		fields  string // with "|" between
		want    time.Duration
		fixed   bool
		reason  string
		removed string
	}{
		{WishLonger, "X-Hold-Until: Fri, 27 Nov 2026 19:00:00 +0100", time.Hour, true,
			"asked to wait until Fri 2026-11-27 19:00 +0100", "X-Hold-Until"},
		{WishLonger, "x-hold-until: 27 Nov 2026 13:00 EST", time.Hour, true, "13:00 -0500", "x-hold-until"},
		{WishLonger, "X-Hold-Until: Fri,\r\n\t27 Nov 2026 18:00:00 GMT (a comment)", time.Hour, true, "18:00 +0000",
			"X-Hold-Until"},
		{WishLonger, "X-Hold-Until: Fri, 27 Nov 2026 17:00:30 +0000", time.Minute, false, "which is not longer",
			"X-Hold-Until"},
		{WishAny, "X-Hold-Until: Fri, 27 Nov 2026 17:00:30 +0000", 30 * time.Second, true, "17:00 +0000", "X-Hold-Until"},
		{WishAny, "X-Hold-Until: Fri, 27 Nov 2020 17:00:30 +0000", 0, true, "2020-11-27 17:00 +0000", "X-Hold-Until"},
		{WishLonger, "X-Hold-Until: Mon, 30 Nov 2026 08:00:00 +0100", 24 * time.Hour, false, "capped to 24h",
			"X-Hold-Until"},
		{WishAny, "X-Hold-Until: Fri, 31 Dec 9999 23:59:59 -2359", 24 * time.Hour, false, "capped to 24h", "X-Hold-Until"},
		{WishIgnore, "X-Hold-Until: Fri, 27 Nov 2026 19:00:00 +0100", time.Minute, false, "wish ignored", "X-Hold-Until"},
		{WishLonger, "X-Hold-For: 2h|X-Hold-Until: 27 Nov 2026 18:00:00 GMT", 2 * time.Hour, false, "asked for 2h",
			"X-Hold-For X-Hold-Until"},
		{WishAny, "X-Hold-For: 0|X-Hold-Until: 27 Nov 2026 18:00:00 GMT", time.Hour, true, "18:00 +0000",
			"X-Hold-For X-Hold-Until"},
		{WishAny, "X-Hold-For: soon|X-Hold-Until: 27 Nov 2026 18:00:00 GMT", time.Hour, true, "18:00 +0000",
			"X-Hold-For X-Hold-Until"},
		{WishLonger, "X-Hold-Until: 27 Nov 2026 18:00:00 GMT|DKIM-Signature: h=x-hold-until", time.Hour, true,
			"18:00 +0000", ""},
		// what could mean another moment is not understood
		{WishAny, "X-Hold-Until: 27 Nov 2026 18:00:00 CET", time.Minute, false, "not understood", "X-Hold-Until"},
		{WishAny, "X-Hold-Until: 27 Nov 2026 18:00:00", time.Minute, false, "not understood", "X-Hold-Until"},
		{WishAny, "X-Hold-Until: tomorrow", time.Minute, false, "not understood", "X-Hold-Until"},
		{WishAny, "X-Hold-Until:", time.Minute, false, "not understood", "X-Hold-Until"},
		{WishAny, "X-Hold-Until: (((((((", time.Minute, false, "not understood", "X-Hold-Until"},
		{WishAny, "X-Hold-Until: 31 Nov 2026 18:00:00 +0000", time.Minute, false, "not understood", "X-Hold-Until"},
		{WishAny, "X-Hold-Until: " + "27 Nov 2026 18:00:00" + strings.Repeat(" ", 100) + "+0000", time.Minute, false,
			"not understood", "X-Hold-Until"},
	} {
		p := NewOutbound(Options{Authenticated: true, MaxGrace: 24 * time.Hour, RequestHeader: "X-Hold-For", Wish: c.wish,
			Rules: []Rule{{Name: "r", Grace: time.Minute}}, ParseDuration: positive})
		f := Facts{Known: AtHeaders, Login: "a", Sender: "a@x", Recipients: []string{"b@x"}, Now: now}
		for field := range strings.SplitSeq(c.fields, "|") {
			name, value, _ := strings.Cut(field, ":")
			f.Header = append(f.Header, Field{name, value})
		}
		v := p.Decide(f)
		if v.Grace != c.want || v.Hold != (c.want > 0) || v.Until.IsZero() == c.fixed || !v.Certain ||
			!strings.HasSuffix(v.Reason.Text, c.reason) || strings.Join(v.Wishes, " ") != c.removed {
			t.Errorf("%s, %s: %+v", c.wish, c.fields, v)
		}
	}
}

// Without a name for the wish of a grace, there are no wishes.
func TestASiteCanDoWithoutWishes(t *testing.T) {
	p := NewOutbound(Options{Authenticated: true, Grace: time.Minute, MaxGrace: time.Hour, ParseDuration: positive})
	v := p.Decide(Facts{Known: AtHeaders, Login: "a", Sender: "a@x", Now: instant(t, "2026-11-27 17:00"),
		Header: []Field{{"X-Hold-Until", "27 Nov 2026 18:00:00 GMT"}}})
	if v.Grace != time.Minute || len(v.Wishes) > 0 {
		t.Errorf("%+v", v)
	}
}

// A rule that lets mail pass neither permits to shorten nor keeps a sender from asking for more.
func TestAWishLengthensTheGraceOfNothing(t *testing.T) {
	p := NewOutbound(Options{Authenticated: true, Grace: time.Minute, MaxGrace: time.Hour, RequestHeader: "X-Hold-For",
		Wish:  WishLonger,
		Rules: []Rule{{Name: "pass", Conditions: []Condition{IfSender(patterns(t, "a@x"))}}}, ParseDuration: positive})
	v := p.Decide(Facts{Known: AtHeaders, Login: "a", Sender: "a@x", Recipients: []string{"b@x"},
		Header: []Field{{"X-Hold-For", "5m"}}})
	if !v.Hold || v.Grace != 5*time.Minute || v.Rule != "pass" {
		t.Errorf("%+v", v)
	}
}

func positive(text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if err == nil && d < 0 {
		err = errors.New("negative")
	}
	return d, err
}
