package policy

import (
	"cmp"
	"strings"
	"time"
)

// InboundRule says what recall commands of some sender domains need, and what becomes of them.
type InboundRule struct {
	Name     string
	Partners Patterns // sender domains whose commands may act
	Require  []string // aligned, cancel_key; all listed must hold
	MaxAge   time.Duration
	Rate     int // commands of one sender domain in Per; 0: no limit
	Per      time.Duration
	Execute  bool   // what passes is done; else only vouched for
	OnFail   string // reject | tag | quarantine
}

// InboundRules are the site's rules for recall commands that come in; the first whose partners match decides, and the
// last for all others.
type InboundRules []InboundRule

// For returns the rule for a sender domain.
func (all InboundRules) For(domain string) InboundRule {
	for _, r := range all[:len(all)-1] {
		if domain != "" && r.Partners.Match(domain) {
			return r
		}
	}
	return all[len(all)-1]
}

// Arrived is a message that came in earlier, and could be the target of a recall.
type Arrived struct {
	MessageID string
	At        time.Time
	Sent      time.Time // its Date; zero: none
	Fit       Fit
	SameFrom  bool // its From is the command's
	SameTo    bool // every recipient of the command got it
	Unlocked  bool // a Cancel-Key of the command opens its Cancel-Lock
	Shared    bool // its From is the address of a mailing list, under which all members write
	Own       bool // its sender really sent it, as far as that can still be known; asked only where several could be meant
}

// Command is what is known of a recall command that came in.
type Command struct {
	From       string // the one address in From, in lower case
	Defect     string // why it can't be judged: more than one From, too large (package inbound finds it); empty: it can
	Domain     string // of From
	Local      bool   // that domain is a recipient's as well: ours
	NullSender bool
	Aligned    bool   // so is the sender, and what proves it covers all that makes it a command, or a Cancel-Key does
	Why        string // why it is not aligned
	List       bool   // a mailing list has passed it on, and nobody that is believed says who wrote it
	Temporary  string // what could not be asked now; empty: all could
	Sent       time.Time
	Expires    time.Time // Expiry-Date; zero: none
	Now        time.Time
	Used       bool // its Message-ID or Cancel-Key served before
	Count      int  // commands of the organisation in the present span, this one included
	Author     int  // of them, those of this author
	Recipients int  // of all of them
	Targets    []Arrived
}

// Results of an inbound verdict.
const (
	InboundPass = "pass"
	InboundNone = "none"
	InboundFail = "fail"
	InboundTemp = "temperror"
)

// InboundVerdict is what a recall command is worth.
type InboundVerdict struct {
	Result string // pass, none, fail, temperror
	Reason string // in a few words; ";" becomes ","
	Target string // Message-ID that it may act on; only with pass
	Rule   string
	Steps  []string
}

// slack is how far clocks of other sites may be ahead.
const slack = 15 * time.Minute

// Judge gives the verdict: the first of inboundChecks that does not hold decides.
func (r InboundRule) Judge(c Command) InboundVerdict {
	j := judgement{InboundRule: r, Command: c, target: c.Target()}
	v := InboundVerdict{Rule: r.Name}
	for _, t := range inboundChecks {
		if t.holds(&j) {
			v.Steps = append(v.Steps, t.step+": holds")
			continue
		}
		v.Steps = append(v.Steps, t.step+": does not hold")
		v.Result, v.Reason = t.result, strings.ReplaceAll(t.reason(&j), ";", ",")
		return v
	}
	v.Result, v.Reason, v.Target = InboundPass, "aligned", j.target.MessageID
	if j.target.Unlocked {
		v.Reason = "cancel-key"
	}
	return v
}

// A sender who has asked for little may still recall when others of their organisation have used up its rate: a part of
// the rate, up to several times of it. One command is for as many recipients as MTAs give to one transaction.
const (
	quietPart     = 10
	quietTimes    = 10
	rateRecipient = 1000
)

// Keeps says whether a command is within the rate.
func (r InboundRule) Keeps(c Command) bool {
	author := cmp.Or(c.Author, c.Count)
	switch {
	case r.Rate <= 0:
		return true
	case c.Recipients > r.Rate*rateRecipient:
		return false
	}
	return c.Count <= r.Rate || c.Count <= r.Rate*quietTimes && author <= max(1, r.Rate/quietPart)
}

// Target is the message that the command can mean, which was sent before it: one that its Cancel-Key opens, else one
// that the sender really sent, else any; of several the one that fits best, and of those the newest.
func (c *Command) Target() (best *Arrived) {
	for n := range c.Targets {
		t := &c.Targets[n]
		fits := t.SameFrom && t.SameTo && t.Fit.Subject != AnotherSubject && !SentAfter(t.Sent, t.At, c.Sent)
		if fits && (best == nil || t.better(best)) {
			best = t
		}
	}
	return best
}

func (t *Arrived) better(other *Arrived) bool {
	switch {
	case t.Unlocked != other.Unlocked:
		return t.Unlocked
	case t.Own != other.Own:
		return t.Own
	case t.Fit != other.Fit:
		return t.Fit.Compare(other.Fit) < 0
	}
	return t.At.After(other.At)
}

func (c *Command) fresh(maxAge time.Duration) bool {
	if !c.Expires.IsZero() && c.Now.After(c.Expires) {
		return false
	}
	return c.Now.Sub(c.Sent) <= maxAge && c.Sent.Sub(c.Now) <= slack
}
