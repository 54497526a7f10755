// Package inbound looks at the mail that comes in: it takes out what only a gateway may write, finds recall commands
// among it, asks who sent them and what they mean, has the policy judge, and remembers what could be recalled later.
// A mail to a recall address is not a command here: only mail that leaves can be one (package recall).
//
// Failure rules: ordinary mail costs no DNS, and only receipts wait for Redis. The body is kept of reports, of what
// Outlook may have sent, and where it can be clawed back from a mailbox. What goes wrong while a command is checked
// never lets it act, and never loses it: the client tries again, or it is delivered with the verdict fail.
package inbound

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/authenticate"
	"github.com/recall-milter/recall-milter/internal/fingerprint"
	"github.com/recall-milter/recall-milter/internal/mailmsg"
	"github.com/recall-milter/recall-milter/internal/outlook"
	"github.com/recall-milter/recall-milter/internal/protocol"
	"github.com/recall-milter/recall-milter/internal/retraction"
	"github.com/recall-milter/recall-milter/policy"
)

// Memory is what the gate needs of the hold store; holdstore.Store says what each method promises.
type Memory interface {
	Remember(ctx context.Context, all []holdstore.Remembered, keep time.Duration) error
	FindRemembered(ctx context.Context, from, messageID, subject string, asked []string) ([]holdstore.Remembered, error)
	FirstUse(ctx context.Context, what, user string, keep time.Duration) (bool, error)
	Count(ctx context.Context, per time.Duration, all ...holdstore.Tally) ([]int, error)
	Request(ctx context.Context, requestID string) (holdstore.Request, error)
	Audit(ctx context.Context, verb, id string, a holdstore.Actor, detail string) error
}

// Log is told of each verdict.
type Log interface {
	Judged(sub holdstore.Submission, form, domain string, v policy.InboundVerdict)
	Trouble(msg string, err error)
	Recovered(msg string, lasted time.Duration)
}

// Options are the tables [inbound] and [inbound.recall].
type Options struct {
	AuthservID string // empty: the MTA's own host name
	Prefixes   []string
	Rules      policy.InboundRules
	Remember   time.Duration
	Lists      policy.Patterns // addresses of mailing lists
	Verifier   *authenticate.Verifier
}

// Retractor does what passes; retraction.Retractor says what each method promises.
type Retractor interface {
	AcceptOrder(ctx context.Context, o retraction.Order, request bool) (bool, error)
	MayAnswerUs(s protocol.Status) bool
	AcceptStatus(ctx context.Context, s protocol.Status, from string) error
	Receipts(ctx context.Context, all []protocol.Receipt) error
	Reaches(recipient string) bool
}

// Mail is a message that comes in.
type Mail struct {
	holdstore.Submission
	mailmsg.Message
	Print fingerprint.Body // of what was seen of the body; see Needs
}

// Gate looks at mail that comes in. Safe for concurrent use.
type Gate struct {
	Came func(from string, recipients []string) // is told who has written to whom; nil: nobody wants to know

	o         atomic.Pointer[Options] // replaced by SetOptions
	known     outlook.Recalls
	memory    Memory
	log       Log
	retractor Retractor
	audits    limiter
	arrived   chan holdstore.Remembered // that wait to be remembered
	waiting   atomic.Int64              // bytes of them, by weight
}

// New returns a gate. It remembers nothing before Run.
func New(o Options, memory Memory, x Retractor, log Log) *Gate {
	g := &Gate{known: o.Prefixes, memory: memory, retractor: x, log: log,
		audits: limiter{most: auditMost, per: auditPer}, arrived: make(chan holdstore.Remembered, maxWaiting)}
	g.SetOptions(o)
	return g
}

// SetOptions replaces the options from the next message on, all but Prefixes.
func (g *Gate) SetOptions(o Options) { g.o.Store(&o) }

// Needs is what a message needs.
type Needs struct {
	Strip []FieldIndex // fields to take out, in this order
	Body  int          // bytes of its body that tell whether it is a recall command, at most; 0: it is none
	Print bool         // the beginning of its body goes through Mail.Print, for claw backs
}

// Examine says at the end of the header what a message needs. One that was resent (mailmsg.Resent) is not
// taken for a recall command, whatever is in it: the person who resends it has received it.
func (g *Gate) Examine(m *Mail) Needs {
	believed := func(id string) bool { return g.o.Load().Verifier.Vouched(id, m.QueueID) }
	l := Needs{Strip: forged(m.Fields, g.id(m), believed), Print: g.o.Load().Remember > 0 && len(g.reached(m)) > 0}
	if !m.Resent() {
		l.Body = body(g.known, &m.Message)
	}
	return l
}

// Disposition is what becomes of a message.
type Disposition struct {
	Command    bool           // it is a recall command: nobody can recall it
	Reply      string         // an SMTP reply that refuses it, empty: it is delivered
	Quarantine string         // why it is to be kept back
	Done       bool           // it has served: nobody needs it any more
	Add        []policy.Field // to put on top, in this order
}

// Judge looks at the whole of what may be a command.
func (g *Gate) Judge(ctx context.Context, m *Mail) Disposition {
	a := g.read(m)
	if s, ok := protocol.ParseStatus(&m.Message); ok {
		return g.status(ctx, a, s)
	}
	if receipts := protocol.ParseReceipts(&m.Message); len(receipts) > 0 {
		if err := g.retractor.Receipts(ctx, receipts); err != nil {
			g.log.Trouble("a receipt came in, and is not noted", err)
		}
		return Disposition{}
	}
	o := g.assess(ctx, a)
	if o.Recall.Form == "" {
		return o.Disposition
	}
	g.log.Judged(m.Submission, o.Recall.Form, o.Evidence.From, o.Verdict)
	switch {
	case o.Verdict.Result == policy.InboundFail:
		g.refusedCommand(ctx, a, &o)
	case o.Verdict.Result == policy.InboundPass && o.Rule.Execute:
		g.execute(ctx, a, &o)
	}
	return o.Disposition
}
