// Package policy decides what happens to a message: facts in, verdict out, no I/O. It also reads what rules and
// commands name: patterns, subjects, and the recipients of ONLY.
package policy

import (
	"net/netip"
	"strings"
	"time"
)

// Field is one header field: name, and every byte behind the colon (folds are CRLF).
type Field struct{ Name, Value string }

// Is says whether the field has a name, in any case. Some programs write a blank before the colon.
func (f Field) Is(name string) bool { return equalFold(strings.TrimRight(f.Name, " \t"), name) }

// Facts is what is known of a message so far. What is not known yet is said by Known.
type Facts struct {
	Known      Stage // facts of later stages are not there yet
	Login      string
	Client     netip.Addr // invalid: sendmail(1) on the gateway itself
	DaemonName string
	Sender     string         // without <>
	Recipients []string       // known from AtHeaders on
	Header     []Field        // known from AtHeaders on
	Size       int64          // known AtEnd
	Files      []File         // known AtEnd, when Verdict.Files has asked for them
	MoreFiles  bool           // the message may have others
	OwnGrace   *time.Duration // that the sender has chosen; nil: none
	Ours       bool           // the message bears our keyed mark, which only its body proves
	Now        time.Time
	Explain    bool // fill Verdict.Steps

	Answers map[Question]Answer // of what Verdict.Asks has asked for
	Earlier *Earlier            // what was found out before there were as many answers; nil: it is not kept
	asks    map[Question]bool
	texts   map[string][]string // of the fields of a name, decoded
}

// Earlier keeps what a decision has found out for the next one, which has the same facts but for Answers: the rules
// that can't hold. Its zero value is that nothing was found out.
type Earlier struct {
	of  *Outbound // the rules are numbered as here
	out []bool    // by rule: it can't hold
}

// rules says which rules of a policy were out earlier, and is where more are noted; nil: nothing is kept. After the
// rules have changed, none is out.
func (e *Earlier) rules(p *Outbound) []bool {
	if e == nil {
		return nil
	}
	if e.of != p {
		e.of, e.out = p, make([]bool, len(p.o.Rules))
	}
	return e.out
}

// Remaining is how long the message waits from now on, when Hold: a moment of the calendar does not move.
func (v *Verdict) Remaining(now time.Time) time.Duration {
	if v.Until.IsZero() {
		return v.Grace
	}
	return max(v.Until.Sub(now), 0)
}

// File is a file in a message.
type File struct {
	Name string // "" when it has none
	Type string // media type, in lower case; "" when nothing says it
	In   string // the archive that it is in, or the winmail.dat; "": the message itself
}

// String names the file for people.
func (f File) String() string {
	name := f.Name
	if name == "" {
		name = f.Type
	}
	if f.In != "" {
		name += " in " + f.In
	}
	return name
}

// Stage says how far a message has come.
type Stage int

// The stages at which a verdict is asked for.
const (
	AtMail Stage = iota
	AtHeaders
	AtEnd
)

// Verdict is what to do with a message.
type Verdict struct {
	Certain  bool // false: later facts can change it, in Hold or only in Rule and Grace; ask again at the next stage
	Hold     bool
	Outbound bool          // from an outbound session, and neither with the null sender nor a gateway's own
	Rule     string        // name of the rule that matched, "default" when none did
	Grace    time.Duration // when Hold
	Until    time.Time     // when the grace ends, where that is a moment of the calendar; zero: it is not
	Inbound  bool          // no outbound session: mail that comes in
	Reason   Reason        // why, as "rule automatic: grace 0s" or "asked for 48h, capped to 24h"
	Wishes   []string      // names of fields with a wish, to remove; none that DKIM covers
	Files    bool          // to decide at the end, the files in the message must be known
	Asks     []Question    // what to ask, and decide again, from AtHeaders on; AtEnd, the worst is taken for no answer
	Steps    []string      // one line for each rule and condition that was looked at, for people

	explain bool
}
