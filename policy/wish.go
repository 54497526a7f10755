package policy

import (
	"net/mail"
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

// UntilField is the field in which a sender asks for a moment (RFC 5322 date-time), next to the one of the site for a
// grace.
const UntilField = "X-Hold-Until"

// wanted is what a sender has asked for.
type wanted struct {
	grace time.Duration
	until time.Time // the moment that they have named; zero: none
}

// String says what was asked for.
func (w wanted) String() string {
	if w.until.IsZero() {
		return "asked for " + Short(w.grace)
	}
	return "asked to wait until " + Clock(w.until)
}

// wish applies what the sender asked for to each possible outcome: in the first field of each name, and the longest of
// both.
func (p *Outbound) wish(f *Facts, v *Verdict, possible []outcome) {
	if p.o.RequestHeader == "" {
		return
	}
	var asked wanted
	found, understood := false, false
	for _, way := range []struct {
		name string
		read func(string) (wanted, bool)
	}{
		{p.o.RequestHeader, p.askedFor},
		{UntilField, func(text string) (wanted, bool) { return askedUntil(text, f.Now) }},
	} {
		n := slices.IndexFunc(f.Header, func(field Field) bool { return equalFold(field.Name, way.name) })
		if n < 0 {
			continue
		}
		if !Signed(f.Header, f.Header[n].Name) {
			v.Wishes = append(v.Wishes, f.Header[n].Name)
		}
		one, ok := way.read(unfold(f.Header[n].Value))
		if ok && (!understood || one.grace > asked.grace) {
			asked = one
		}
		found, understood = true, understood || ok
	}
	for n := range possible {
		if found {
			possible[n].apply(asked, understood, p.o.MaxGrace)
			v.step("wish: " + possible[n].reason.Text)
		}
	}
}

// apply changes the grace of an outcome as far as its rule lets a wish.
func (o *outcome) apply(asked wanted, understood bool, most time.Duration) {
	granted := min(asked.grace, most)
	switch {
	case !understood:
		o.reason.Text += "; wish not understood"
	case o.wish == WishIgnore:
		o.reason.Text += "; wish ignored"
	case o.wish != WishAny && granted <= o.grace:
		o.reason.Text += "; " + asked.String() + ", which is not longer"
	case granted < asked.grace:
		o.grace, o.until = granted, time.Time{}
		o.reason = Reason{ByWish, asked.String() + ", capped to " + Short(granted)}
	default:
		o.grace, o.until, o.reason = granted, asked.until, Reason{ByWish, asked.String()}
	}
}

func (p *Outbound) askedFor(text string) (wanted, bool) {
	if text == "0" {
		return wanted{}, true
	}
	grace, err := p.o.ParseDuration(text)
	return wanted{grace: grace}, err == nil
}

// askedUntil reads a moment; one that is over asks for no grace.
func askedUntil(text string, now time.Time) (wanted, bool) {
	at, ok := dateTime(text)
	if !ok {
		return wanted{}, false
	}
	return wanted{grace: max(at.Sub(now), 0), until: at}, true
}

// oldZones are the zones of RFC 5322 section 4.3 that have letters and mean something.
var oldZones = map[string]string{"UT": "+0000", "GMT": "+0000", "EST": "-0500", "EDT": "-0400", "CST": "-0600",
	"CDT": "-0500", "MST": "-0700", "MDT": "-0600", "PST": "-0800", "PDT": "-0700"}

// dateTime reads a date-time of RFC 5322. One without a zone that means something is not understood.
func dateTime(text string) (time.Time, bool) {
	const most = 100 // bytes
	text, _, _ = strings.Cut(text, "(")
	words := strings.Fields(text)
	if len(text) > most || len(words) == 0 {
		return time.Time{}, false
	}
	zone := &words[len(words)-1]
	if old, known := oldZones[strings.ToUpper(*zone)]; known {
		*zone = old
	} else if len(*zone) != len("+0100") || (*zone)[0] != '+' && (*zone)[0] != '-' {
		return time.Time{}, false
	}
	at, err := mail.ParseDate(strings.Join(words, " "))
	_, offset := at.Zone()
	return at.In(time.FixedZone("", offset)), err == nil // without the name that this machine gives to the offset
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
