package policy

import (
	"strings"
	"testing"
	"time"
)

// What a sender has chosen takes the place of the site's grace, within the range, and of nothing else.
func TestAnOwnGraceTakesThePlaceOfTheSites(t *testing.T) {
	t.Parallel()
	minutes := func(n int) *time.Duration { d := time.Duration(n) * time.Minute; return &d }
	site := NewOutbound(Options{Authenticated: true, Grace: 2 * time.Minute, MaxGrace: time.Hour,
		RequestHeader: "X-Hold-For", Wish: WishLonger, ParseDuration: positive,
		OwnGrace: &OwnGrace{time.Minute, 30 * time.Minute},
		Rules: []Rule{
			{Name: "fixed", Grace: 2 * time.Minute, Conditions: []Condition{IfSender(patterns(t, "fixed@x"))}},
			{Name: "bare", Grace: 2 * time.Minute, AsSite: true, Conditions: []Condition{IfSender(patterns(t, "bare@x"))}},
		}})
	closed := NewOutbound(Options{Authenticated: true, Grace: 2 * time.Minute})
	for _, c := range []struct {
		p      *Outbound
		sender string
		own    *time.Duration
		wish   string
		want   int
	}{
		{site, "a@x", minutes(10), "", 10}, {site, "bare@x", minutes(10), "", 10}, {site, "fixed@x", minutes(10), "", 2},
		{site, "a@x", nil, "", 2}, {site, "a@x", minutes(0), "", 1}, {site, "a@x", minutes(60), "", 30},
		{site, "a@x", minutes(10), "5m", 10}, {site, "a@x", minutes(10), "20m", 20}, {closed, "a@x", minutes(10), "", 2},
	} {
		f := Facts{Known: AtHeaders, Login: "a", Sender: c.sender, Recipients: []string{"b@x"}, OwnGrace: c.own}
		if c.wish != "" {
			f.Header = []Field{{"X-Hold-For", c.wish}}
		}
		v := c.p.Decide(f)
		if v.Grace != time.Duration(c.want)*time.Minute {
			t.Errorf("%+v: %+v", c, v)
		}
		if strings.Contains(v.Reason.Text, "chosen by the sender") && c.want == 2 {
			t.Errorf("%+v: %s", c, v.Reason)
		}
	}
	if site.MayChoose() == closed.MayChoose() {
		t.Error("it does not say who may choose")
	}
}
