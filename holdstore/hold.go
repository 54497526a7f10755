package holdstore

import (
	"strconv"
	"strings"
	"time"

	"github.com/recall-milter/recall-milter/holdstore/internal/seal"
)

// State is where a hold stands; the package comment draws the arrows.
type State string

// The four states of a hold.
const (
	Held      State = "held"      // waits for its due moment
	Releasing State = "releasing" // claimed by one daemon, under a lease
	Released  State = "released"  // every recipient settled; a record without content
	Recalled  State = "recalled"  // taken back; the content stays for the recall retention
)

// Path is one envelope address with what came behind it.
type Path struct {
	Address string   `json:"a"`           // as the MTA said it, without the angle brackets; "" is the null sender
	Args    []string `json:"x,omitempty"` // ESMTP arguments verbatim, xtext still encoded: "NOTIFY=NEVER"
}

// Arg returns the value of an ESMTP argument, "" when it is not there or has none. name is in upper case.
func (p Path) Arg(name string) string {
	_, value, _ := strings.Cut(p.arg(name), "=")
	return value
}

// HasArg says whether an ESMTP argument is there. name is in upper case.
func (p Path) HasArg(name string) bool { return p.arg(name) != "" }

func (p Path) arg(name string) string {
	for _, arg := range p.Args {
		if keyword, _, _ := strings.Cut(strings.ToUpper(arg), "="); keyword == name {
			return arg
		}
	}
	return ""
}

// Client is the SMTP client that submitted the message, as the MTA described it.
// A submission by sendmail(1) has no address.
type Client struct {
	Address string `json:"a,omitempty"` // IP address
	Port    int    `json:"p,omitempty"`
	Name    string `json:"n,omitempty"` // verified host name, or "unknown"
	PTR     string `json:"r,omitempty"` // unverified reverse name
	HELO    string `json:"h,omitempty"`
}

// Submission is what is known of a message when its headers have ended. It never changes.
type Submission struct {
	QueueID    string `json:"q,omitempty"`  // of the MTA; MTAs reuse queue IDs
	MessageID  string `json:"m,omitempty"`  // with its angle brackets
	Subject    string `json:"u,omitempty"`  // its text, decoded, or the beginning of it
	Author     string `json:"f,omitempty"`  // the address in From, when it is not the sender's
	Date       string `json:"dt,omitempty"` // the field's value
	Sender     Path   `json:"s"`
	Recipients []Path `json:"r"`
	Client     Client `json:"c"`
	Login      string `json:"l,omitempty"` // SASL login name
	AuthType   string `json:"at,omitempty"`
	TLS        string `json:"t,omitempty"` // protocol version, empty: plain text
	Daemon     string `json:"d,omitempty"` // milter_macro_daemon_name
	Gateway    string `json:"g,omitempty"` // the MTA's own host name
}

// Terms are what the policy said about a message; known when it has ended.
type Terms struct {
	Rule  string        // name of the rule that matched
	Grace time.Duration // from the moment Redis commits the hold
	Fixed bool          // it ends at a moment of the calendar, which a restore does not move

	Replaces []string // IDs of holds that are taken back in the step that commits this one
}

// Outcome is what became of one recipient.
type Outcome string

// Outcomes of a recipient. Every recipient begins as pending.
const (
	Pending   Outcome = "pending"
	Sent      Outcome = "sent"     // the MTA answered 250 for it
	Failed    Outcome = "failed"   // refused for good, or given up on
	TakenBack Outcome = "recalled" // recalled before it was sent

	Requested   Outcome = "requested"    // its gateway was asked to take it back
	Retracted   Outcome = "retracted"    // its gateway took it back
	AlreadyRead Outcome = "already read" // and so it stays
	Refused     Outcome = "refused"      // its gateway does not take it back
	Unknown     Outcome = "unknown"      // its gateway did not find it, or did not answer
)

var knownOutcomes = map[Outcome]bool{
	Pending: true, Sent: true, Failed: true, TakenBack: true,
	Requested: true, Retracted: true, AlreadyRead: true, Refused: true, Unknown: true,
}

// Result is the outcome for one recipient.
type Result struct {
	Outcome Outcome   `json:"o"`
	Detail  string    `json:"d,omitempty"` // the MTA's last reply for it, or why it failed
	At      time.Time `json:"t,omitzero"`
	// Reported is true once the sender has been told of a failure (or asked not to be).
	Reported bool `json:"b,omitempty"`
	// CutOff is true when a release had been cut off before the recall: what the port took is not known. No further
	// copy is sent, and nobody is told that none was.
	CutOff bool `json:"c,omitempty"`
}

// back says whether a recall took the recipient's copy back.
func (r Result) back() bool { return r.Outcome == TakenBack || r.CutOff }

// Event is one line of a hold's timeline.
type Event struct {
	At     time.Time `json:"at"`
	Verb   string    `json:"verb"` // held, claimed, retry, released, recalled, restored, extended, ...
	By     string    `json:"by,omitempty"`
	Detail string    `json:"detail,omitempty"`
	News   bool      `json:"-"` // Store.News wrote it, as is proven where mail is sealed: its sender is told of it
}

// Hold is one message in the store, or the record of one.
type Hold struct {
	ID string
	Submission
	Terms
	State    State
	Size     int64 // bytes of header, blank line and body
	EightBit bool  // the content has bytes above 127
	HeldAt   time.Time
	Due      time.Time // while releasing or after: the last due moment
	Attempts int
	Results  []Result // one per recipient, in envelope order
	Timeline []Event
	Stopped  bool // an operator has recalled it, or a part of it, since it was last restored

	chunks  int    // how many pieces the content was stored in
	staging string // the random part of the content's key names

	doubt   error      // why its record proves nothing; nil: it does, or nothing is sealed
	misread error      // what of its results can't be read; they are Unknown then
	first   seal.Piece // of the content, when it came with a claim; its zero value: it is to be read
}

// OwnMailRule is the rule name of the gateway's own mails: reports, requests, statuses. They wait for nothing.
const OwnMailRule = "report"

// Own says whether it is a mail of the gateway itself.
func (h *Hold) Own() bool { return h.Rule == OwnMailRule }

// Actor says who does something to a hold, from where and why; it goes into the timeline and the audit trail.
type Actor struct {
	By     string // "alice (uid 1000)"
	From   string // host name and program
	Reason string
	// Operator: they act for the site. What they recall is restored by an operator only.
	Operator bool
}

// Committed is the answer to a commit.
type Committed struct {
	ID     string
	Found  bool // an unconfirmed hold of the same envelope and content was there already; nothing new was made
	HeldAt time.Time
	Due    time.Time

	print string // of envelope and content
}

// fenceTime is how long a commit that nobody answered, or a message that was given up, may take to be fenced off.
const fenceTime = 3 * time.Second

// moment reads milliseconds since 1970; anything else is the zero time.
func moment(ms string) time.Time {
	n, err := strconv.ParseInt(ms, 10, 64)
	if err != nil || n == 0 {
		return time.Time{}
	}
	return time.UnixMilli(n).UTC()
}
