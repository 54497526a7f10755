package policy

import (
	"fmt"
	"strings"
	"time"
)

// Rule says how long mail waits that meets all its conditions; a condition that is empty is none. A new condition is a
// field here and in config.Rule, and has a place in conditions below, in wiring.outboundRule, in config's checkRules
// and (*config.Rule).conditions (else a rule with nothing else is taken for one that matches all mail), and in
// recallctl's conditions.
type Rule struct {
	Name  string
	Grace time.Duration

	Graces Graces // nil: Grace is for everybody

	Sender, Login Patterns
	Recipient     Patterns // at least one recipient is in it
	AllRecipients Patterns // every recipient is in it
	Client        Networks
	DaemonName    Patterns
	Header        []HeaderCondition
	Above, Below  int64 // bytes; 0: no bound
	Time          *Window

	Recipients      Bound // of the number of envelope recipients
	ExternalDomains Bound // of the number of recipient domains that are not in Options.LocalDomains

	Wish Wish // what a sender's wish may do; WishAsSite: as Options say

	Delegates Patterns // who else may recall mail of this rule
	NoRecall  bool     // mail of this rule can't be recalled by its sender
	Notice    *bool    // whether its sender is told that it waits; nil: as the site says
}

// DefaultRule is the name that stands for a rule where none matched: all mail waits.
const DefaultRule = "default"

// HeaderCondition holds when the message has a field of this name whose text is in the list. A field that is absent is
// in no list, not even in one of exclusions.
type HeaderCondition struct {
	Name     string
	Patterns Patterns
}

// answer of a condition: what is not known yet may be either.
type answer int

const (
	no answer = iota
	unknown
	yes
)

// words says an answer to people, and which entry of a list has decided.
func (a answer) words(by Mention) string {
	words := [...]string{no: "does not hold", unknown: "not known yet", yes: "holds"}[a]
	if where := by.String(); where != "" {
		words += " (" + where + ")"
	}
	return words
}

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
	holds func(*Facts) (answer, Mention)
}

// conditions lists what a rule asks for.
func (r *Rule) conditions(decode func(string) string, local Patterns) []condition {
	var all []condition
	add := func(known Stage, words string, holds func(*Facts) bool) {
		all = append(all, condition{words, known, func(f *Facts) (answer, Mention) { return truth(holds(f)), Mention{} }})
	}
	list := func(name string, l Patterns, known Stage, values func(*Facts) []string) {
		if len(l) > 0 {
			all = append(all, condition{fmt.Sprintf("%s %v", name, l), known,
				func(f *Facts) (answer, Mention) { return l.any(values(f), f) }})
		}
	}
	list("sender", r.Sender, AtMail, func(f *Facts) []string { return []string{f.Sender} })
	list("login", r.Login, AtMail, func(f *Facts) []string { return present(f.Login) })
	list("daemon_name", r.DaemonName, AtMail, func(f *Facts) []string { return []string{f.DaemonName} })
	if !r.Client.Empty() {
		add(AtMail, fmt.Sprintf("client %v", r.Client), func(f *Facts) bool { return r.Client.Contains(f.Client) })
	}
	if r.Time != nil {
		add(AtMail, "time "+r.Time.String(), func(f *Facts) bool { return r.Time.Contains(f.Now) })
	}
	list("recipient", r.Recipient, AtHeaders, func(f *Facts) []string { return f.Recipients })
	if len(r.AllRecipients) > 0 {
		all = append(all, condition{fmt.Sprintf("all_recipients %v", r.AllRecipients), AtHeaders,
			func(f *Facts) (answer, Mention) { return r.AllRecipients.every(f.Recipients, f) }})
	}
	if b := r.Recipients; b.given() {
		add(AtHeaders, "recipients "+b.String(), func(f *Facts) bool { return b.holds(len(f.Recipients)) })
	}
	if b := r.ExternalDomains; b.given() {
		add(AtHeaders, "external_domains "+b.String(),
			func(f *Facts) bool { return b.holds(externalDomains(f.Recipients, local)) })
	}
	for _, h := range r.Header {
		all = append(all, condition{fmt.Sprintf("header %s %v", h.Name, h.Patterns), AtHeaders,
			func(f *Facts) (answer, Mention) { return h.holds(f, decode) }})
	}
	if r.Above > 0 {
		add(AtEnd, fmt.Sprintf("size above %d bytes", r.Above), func(f *Facts) bool { return f.Size > r.Above })
	}
	if r.Below > 0 {
		add(AtEnd, fmt.Sprintf("size below %d bytes", r.Below), func(f *Facts) bool { return f.Size < r.Below })
	}
	return all
}

// Bound is a condition on a number: more than Above, fewer than Below; nil: no such bound.
type Bound struct{ Above, Below *int }

func (b Bound) given() bool { return b.Above != nil || b.Below != nil }

func (b Bound) holds(n int) bool {
	return (b.Above == nil || n > *b.Above) && (b.Below == nil || n < *b.Below)
}

// String is the bound as it was written.
func (b Bound) String() string {
	if !b.given() {
		return "any"
	}
	if b.Above != nil {
		return fmt.Sprintf(">%d", *b.Above)
	}
	return fmt.Sprintf("<%d", *b.Below)
}

// externalDomains counts the domains of the recipients that are not the site's own.
func externalDomains(recipients []string, local Patterns) int {
	all := map[string]bool{}
	for _, r := range recipients {
		if d := lowered(r[strings.LastIndexByte(r, '@')+1:]); !local.Match(d) {
			all[d] = true
		}
	}
	return len(all)
}

func (h HeaderCondition) holds(f *Facts, decode func(string) string) (answer, Mention) {
	var texts []string
	for _, field := range f.Header {
		if equalFold(field.Name, h.Name) {
			texts = append(texts, decode(field.Value))
		}
	}
	return h.Patterns.any(texts, f)
}

// present is a value that might not be there, as a list: a condition on a login needs a login.
func present(value string) []string {
	if value == "" {
		return nil
	}
	return []string{value}
}

// unfold returns a field's value on one line.
func unfold(value string) string {
	return strings.TrimSpace(strings.NewReplacer("\r", "", "\n", "").Replace(value))
}
