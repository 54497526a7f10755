package policy

import (
	"slices"
	"strings"
	"time"
)

// Wish says what a sender's wish for a grace may do.
type Wish string

// What a wish may do.
const (
	WishAsSite Wish = ""       // of a rule: what the site says
	WishLonger Wish = "longer" // lengthen the grace
	WishAny    Wish = "any"    // also shorten it, down to nothing: then the message passes unheld
	WishIgnore Wish = "ignore" // nothing
)

// wish applies what the sender asked for, in the first field of the request header, to each possible outcome.
func (p *Outbound) wish(f *Facts, v *Verdict, possible []outcome) {
	if p.o.RequestHeader == "" {
		return
	}
	n := slices.IndexFunc(f.Header, func(field Field) bool { return equalFold(field.Name, p.o.RequestHeader) })
	if n < 0 {
		return
	}
	if !Signed(f.Header, f.Header[n].Name) {
		v.Wish = f.Header[n].Name
	}
	asked, ok := p.asked(unfold(f.Header[n].Value))
	for n := range possible {
		possible[n].apply(asked, ok, p.o.MaxGrace)
		v.step("wish: " + possible[n].reason.Text)
	}
}

// apply changes the grace of an outcome as far as its rule lets a wish.
func (o *outcome) apply(asked time.Duration, understood bool, most time.Duration) {
	granted := min(asked, most)
	switch {
	case !understood:
		o.reason.Text += "; wish not understood"
	case o.wish == WishIgnore:
		o.reason.Text += "; wish ignored"
	case o.wish != WishAny && granted <= o.grace:
		o.reason.Text += "; asked for " + Short(asked) + ", which is not longer"
	case granted < asked:
		o.grace, o.reason = granted, Reason{ByWish, "asked for " + Short(asked) + ", capped to " + Short(granted)}
	default:
		o.grace, o.reason = granted, Reason{ByWish, "asked for " + Short(asked)}
	}
}

func (p *Outbound) asked(text string) (time.Duration, bool) {
	if text == "0" {
		return 0, true
	}
	grace, err := p.o.ParseDuration(text)
	return grace, err == nil
}

// Signed says whether a DKIM signature covers a field, there or not (RFC 6376 section 3.5, tag h): then it must stay as
// it is.
func Signed(header []Field, name string) bool {
	for _, field := range header {
		if !equalFold(field.Name, "DKIM-Signature") {
			continue
		}
		for _, tag := range strings.Split(field.Value, ";") {
			key, list, _ := strings.Cut(tag, "=")
			if strings.TrimSpace(key) != "h" {
				continue
			}
			for _, covered := range strings.Split(list, ":") {
				if equalFold(strings.TrimSpace(covered), name) {
					return true
				}
			}
		}
	}
	return false
}

// Short writes a duration without its zero parts: "2m" and not "2m0s".
func Short(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
