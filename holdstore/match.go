package holdstore

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Query selects holds. Empty fields do not select. Text fields are exact addresses (answered by an index) or globs
// with * and ? (bounded scan), case-insensitive; Subject is a glob or a plain substring.
type Query struct {
	States                                    []State   // nil: held and releasing
	Sender, Recipient, Subject, Login, Client string    // Client: an IP address or CIDR
	MessageID                                 string    // exact, with or without angle brackets
	Since, Until                              time.Time // of HeldAt

	AnyOrder bool                 // show each as soon as it is found
	Progress func(looked, of int) // nil, or called now and then: how many holds were looked at, of how many
}

// matcher is a Query made ready.
type matcher struct {
	q                                 Query
	sender, recipient, subject, login *regexp.Regexp // nil: does not select
	client                            netip.Prefix
}

func newMatcher(q Query) (*matcher, error) {
	m := &matcher{q: q, sender: addressGlob(q.Sender), recipient: addressGlob(q.Recipient), login: addressGlob(q.Login)}
	if q.Subject != "" && !strings.ContainsAny(q.Subject, "*?") {
		m.subject = glob("i", "*"+q.Subject+"*")
	} else {
		m.subject = glob("i", q.Subject)
	}
	if q.Sender == "<>" {
		m.sender = regexp.MustCompile("^$") // the null sender, of bounces
	}
	if q.Client == "" {
		return m, nil
	}
	if a, err := netip.ParseAddr(q.Client); err == nil {
		m.client = netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen())
		return m, nil
	}
	var err error
	if m.client, err = netip.ParsePrefix(q.Client); err != nil {
		return nil, fmt.Errorf("client %q is no IP address and no network like 192.0.2.0/24", q.Client)
	}
	return m, nil
}

// addressGlob is glob for what is folded.
func addressGlob(pattern string) *regexp.Regexp { return glob("", Fold(pattern)) }

// glob makes a pattern of * and ? into an expression with some flags; nil for "". RE2 keeps hostile patterns linear.
func glob(flags, pattern string) *regexp.Regexp {
	if pattern == "" {
		return nil
	}
	text := strings.NewReplacer(`\*`, `.*`, `\?`, `.`).Replace(regexp.QuoteMeta(pattern))
	return regexp.MustCompile(`(?s` + flags + `)^` + text + `$`)
}

func fits(re *regexp.Regexp, text string) bool { return re == nil || re.MatchString(text) }

// matches says whether a hold matches.
func (m *matcher) matches(h *Hold) bool {
	toOne := func(p Path) bool { return fits(m.recipient, Fold(p.Address)) }
	switch {
	case !slices.Contains(m.q.States, h.State),
		!fits(m.sender, Fold(h.Sender.Address)),
		!fits(m.login, Fold(h.Login)),
		!fits(m.subject, h.Subject),
		m.q.MessageID != "" && !slices.Contains(bothWays(m.q.MessageID), h.MessageID),
		m.recipient != nil && !slices.ContainsFunc(h.Recipients, toOne),
		!m.q.Since.IsZero() && h.HeldAt.Before(m.q.Since),
		!m.q.Until.IsZero() && h.HeldAt.After(m.q.Until):
		return false
	}
	if m.q.Client == "" {
		return true
	}
	a, err := netip.ParseAddr(h.Client.Address)
	return err == nil && m.client.Contains(a.Unmap())
}
