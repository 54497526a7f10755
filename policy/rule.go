package policy

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Rule says how long mail waits that meets all its conditions; without conditions it is all mail.
type Rule struct {
	Name       string
	Conditions []Condition
	Grace      time.Duration

	Graces   Graces   // nil: Grace is for everybody
	Until    *Moment  // mail waits until then; nil: for Grace
	Calendar Calendar // of Until
	AsSite   bool     // without Graces and Until: the grace is the site's, or what the sender has chosen

	Wish Wish // what a sender's wish may do; WishAsSite: as Options say

	Delegates Patterns // who else may recall mail of this rule
	NoRecall  bool     // mail of this rule can't be recalled by its sender
	Notice    *bool    // whether its sender is told that it waits; nil: as the site says
}

// DefaultRule is the name that stands for a rule where none matched: all mail waits.
const DefaultRule = "default"

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

// Bound is a condition on a number: more than Above, fewer than Below; nil: no such bound.
type Bound struct{ Above, Below *int }

func (b Bound) holds(n int) bool {
	return (b.Above == nil || n > *b.Above) && (b.Below == nil || n < *b.Below)
}

// String is the bound as it was written.
func (b Bound) String() string {
	switch {
	case b == Bound{}:
		return "any"
	case b.Above != nil:
		return fmt.Sprintf(">%d", *b.Above)
	}
	return fmt.Sprintf("<%d", *b.Below)
}

// externalDomains counts the domains of the recipients that are not the site's own.
func externalDomains(recipients []string, local Patterns) int {
	all := map[string]bool{}
	for _, r := range recipients {
		if d := domainOf(r); !local.Match(d) {
			all[d] = true
		}
	}
	return len(all)
}

// present leaves out the values that are not there: a condition on a login needs a login.
func present(values ...string) []string {
	return slices.DeleteFunc(values, func(v string) bool { return v == "" })
}

// lineEnds is made once: making it costs more than using it.
var lineEnds = strings.NewReplacer("\r", "", "\n", "")

// Unfold returns a field's value without its line ends (RFC 5322 section 2.2.3).
func Unfold(value string) string { return lineEnds.Replace(value) }

// unfold returns a field's value on one line, without white space around it.
func unfold(value string) string { return strings.TrimSpace(Unfold(value)) }
