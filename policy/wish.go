package policy

import (
	"strings"
	"time"
)

// wish applies what the sender asked for in the first field of the request header.
func (p *Outbound) wish(f *Facts, v *Verdict) {
	for _, field := range f.Header {
		if p.o.RequestHeader == "" || !strings.EqualFold(field.Name, p.o.RequestHeader) {
			continue
		}
		if !Signed(f.Header, field.Name) {
			v.Wish = field.Name
		}
		grace, ok := p.asked(unfold(field.Value))
		switch {
		case !ok:
			v.step("wish: not understood")
			v.Reason += "; wish not understood"
		case grace > p.o.MaxGrace:
			v.Certain = v.Certain && !v.unsettled
			v.Grace, v.Reason = p.o.MaxGrace, "asked for "+short(grace)+", capped to "+short(p.o.MaxGrace)
			v.step("wish: " + v.Reason)
		default:
			v.Grace, v.Reason = grace, "asked for "+short(grace)
			v.Certain = grace == 0 || v.Certain && !v.unsettled // whose rule it is decides who may recall it
			v.step("wish: " + v.Reason)
		}
		return
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
		if !strings.EqualFold(field.Name, "DKIM-Signature") {
			continue
		}
		for _, tag := range strings.Split(field.Value, ";") {
			key, list, _ := strings.Cut(tag, "=")
			if strings.TrimSpace(key) != "h" {
				continue
			}
			for _, covered := range strings.Split(list, ":") {
				if strings.EqualFold(strings.TrimSpace(covered), name) {
					return true
				}
			}
		}
	}
	return false
}

// short writes a duration without its zero parts: "2m" and not "2m0s".
func short(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
