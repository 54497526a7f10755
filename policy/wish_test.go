package policy

import (
	"errors"
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
			v.Wish != "X-Hold-For" {
			t.Errorf("site %q, rule %q, wish %s: %+v", c.site, c.rule, c.wish, v)
		}
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
