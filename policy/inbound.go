package policy

import (
	"cmp"
	"slices"
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
	Defect     string // why it can't be judged: more than one From, too large; empty: it can
	Domain     string // of From
	Local      bool   // that domain is a recipient's as well: ours
	NullSender bool
	Aligned    bool
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
	Reason string // in a few words, without ";"
	Target string // Message-ID that it may act on; only with pass
	Rule   string
	Steps  []string
}

// slack is how far clocks of other sites may be ahead.
const slack = 15 * time.Minute

// Judge gives the verdict. The order is from what the command is, over who sent it, to what it asks for; the first
// thing that does not hold decides.
func (r InboundRule) Judge(c Command) (v InboundVerdict) {
	target := c.Target()
	v.Rule = r.Name
	no := func(holds bool, result, step, reason string) bool {
		if holds {
			v.Steps = append(v.Steps, step+": holds")
			return false
		}
		v.Steps = append(v.Steps, step+": does not hold")
		v.Result, v.Reason = result, reason
		return true
	}
	needsAligned := slices.Contains(r.Require, "aligned") || c.Local || !slices.Contains(r.Require, "cancel_key")
	switch {
	case no(c.Defect == "", InboundFail, "the command is well formed", c.Defect):
	case no(!c.NullSender, InboundFail, "it has an envelope sender", "null sender"):
	case no(c.Domain != "" && r.Partners.Match(c.Domain), InboundFail, "its domain is a partner", "domain is no partner"):
	case no(c.Aligned || c.Temporary == "", InboundTemp, "everything could be asked", c.Temporary):
	case no(c.Aligned || !c.Local, InboundFail, "it is not from outside with a domain of ours and no evidence", "forged, a local domain without evidence"):
	case no(c.Aligned || !needsAligned, InboundFail, "the sender is aligned", "sender not authenticated, "+c.Why):
	case no(c.Aligned || target != nil && target.Unlocked, InboundFail, "the sender is aligned, or a Cancel-Key proves it", "no Cancel-Key that opens the message's Cancel-Lock"):
	case no(c.fresh(r.MaxAge), InboundFail, "it is not expired", "the command is expired"):
	case no(r.Keeps(c), InboundFail, "the domain keeps the rate", "too many recalls from this domain"):
	case no(!c.Used, InboundFail, "it is seen for the first time", "the command was used before"):
	case no(target != nil, InboundNone, "a message of that sender to that recipient came in", "no message of that sender to that recipient is known"):
	case no(c.Now.Sub(target.At) <= r.MaxAge, InboundFail, "the message is not too old", "the message is too old"):
	case no(target.Unlocked || !c.List && !target.Shared, InboundFail, "it does not come through a mailing list, or a Cancel-Key proves it", "came through a mailing list, where only a Cancel-Key says who asks"):
	case no(target.Unlocked || !slices.Contains(r.Require, "cancel_key"), InboundFail, "a Cancel-Key opens its Cancel-Lock, or none is asked for", "no Cancel-Key that opens the message's Cancel-Lock"):
	default:
		v.Result, v.Reason, v.Target = InboundPass, "aligned", target.MessageID
		if target.Unlocked {
			v.Reason = "cancel-key"
		}
	}
	v.Reason = strings.ReplaceAll(v.Reason, ";", ",")
	return v
}

// Who has asked for little may still recall when others of their organisation have used up its rate: a part of the rate, up to
// several times of it. One command is for as many recipients as MTAs give to one transaction.
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

// Target is the message that the command can mean, which was sent before it: one that its Cancel-Key opens, else one that the
// sender really sent, else any; of several the one that fits best, and of those the newest.
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
