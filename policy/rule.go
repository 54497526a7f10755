package policy

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Rule says how long mail waits that meets all its conditions; a condition that is empty is none.
type Rule struct {
	Name  string
	Grace time.Duration

	Sender, Recipient, Login Patterns
	Client                   []netip.Prefix
	DaemonName               Patterns
	Header                   []HeaderCondition
	Above, Below             int64 // bytes; 0: no bound
	Time                     *Window

	Delegates Patterns // who else may recall mail of this rule
	NoRecall  bool     // mail of this rule can't be recalled by its sender
}

// HeaderCondition holds when the message has a field of this name that matches. A field that is absent matches
// nothing, not even a negated pattern.
type HeaderCondition struct {
	Name    string
	Pattern Pattern
}

// answer of a condition: what is not known yet may be either.
type answer int

const (
	no answer = iota
	unknown
	yes
)

func truth(b bool) answer {
	if b {
		return yes
	}
	return no
}

// condition is one condition of a rule, with its words for people.
type condition struct {
	words string
	known Stage // from when on it can be answered
	holds func(*Facts) bool
}

// conditions lists what a rule asks for.
func (r *Rule) conditions() []condition {
	var all []condition
	add := func(known Stage, words string, holds func(*Facts) bool) {
		all = append(all, condition{words, known, holds})
	}
	list := func(name string, l Patterns, known Stage, values func(*Facts) []string) {
		if len(l) > 0 {
			add(known, fmt.Sprintf("%s %v", name, l), func(f *Facts) bool { return l.Match(values(f)...) })
		}
	}
	list("sender", r.Sender, AtMail, func(f *Facts) []string { return []string{f.Sender} })
	list("login", r.Login, AtMail, func(f *Facts) []string { return []string{f.Login} })
	list("daemon_name", r.DaemonName, AtMail, func(f *Facts) []string { return []string{f.DaemonName} })
	if len(r.Client) > 0 {
		add(AtMail, fmt.Sprintf("client %v", r.Client), func(f *Facts) bool { return within(r.Client, f.Client) })
	}
	if r.Time != nil {
		add(AtMail, "time "+r.Time.String(), func(f *Facts) bool { return r.Time.Contains(f.Now) })
	}
	list("recipient", r.Recipient, AtHeaders, func(f *Facts) []string { return f.Recipients })
	for _, h := range r.Header {
		add(AtHeaders, fmt.Sprintf("header %s %v", h.Name, h.Pattern), h.holds)
	}
	if r.Above > 0 {
		add(AtEnd, fmt.Sprintf("size above %d bytes", r.Above), func(f *Facts) bool { return f.Size > r.Above })
	}
	if r.Below > 0 {
		add(AtEnd, fmt.Sprintf("size below %d bytes", r.Below), func(f *Facts) bool { return f.Size < r.Below })
	}
	return all
}

func (h HeaderCondition) holds(f *Facts) bool {
	return slices.ContainsFunc(f.Header, func(field Field) bool {
		return strings.EqualFold(field.Name, h.Name) && h.Pattern.Match(unfold(field.Value))
	})
}

// unfold returns a field's value on one line.
func unfold(value string) string {
	return strings.TrimSpace(strings.NewReplacer("\r", "", "\n", "").Replace(value))
}

// within says whether a network holds the client. sendmail(1) has no client address, and is the gateway itself.
func within(networks []netip.Prefix, client netip.Addr) bool {
	client = client.Unmap()
	if !client.IsValid() {
		client = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	return slices.ContainsFunc(networks, func(n netip.Prefix) bool { return n.Contains(client) })
}
