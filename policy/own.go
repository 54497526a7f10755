package policy

import "time"

// OwnGrace is the range in which people may choose the grace of their own mail. It takes the place of the site's grace;
// a rule's own comes first. nil: they may not choose.
type OwnGrace struct{ Least, Most time.Duration }

// MayChoose says whether people may choose a grace of their own.
func (p *Outbound) MayChoose() bool { return p.o.OwnGrace != nil }

// site returns the grace of mail for which no rule has one, and how people are told where it comes from.
func (p *Outbound) site(f *Facts) (grace time.Duration, from string) {
	if p.o.OwnGrace == nil || f.OwnGrace == nil {
		return p.o.Grace, ""
	}
	return min(max(*f.OwnGrace, p.o.OwnGrace.Least), p.o.OwnGrace.Most), ", chosen by the sender"
}
