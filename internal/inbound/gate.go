// Package inbound looks at the mail that comes in: it takes out what only a gateway may write, finds recall commands
// among it, asks who sent them and what they mean, has the policy judge, and remembers what could be recalled later.
//
// Failure rules: ordinary mail costs no DNS, no body and no wait for Redis. What goes wrong while a command is checked
// never lets it act, and never loses it: the client tries again, or it is delivered with the verdict fail.
package inbound

import (
	"context"
	"net/netip"
	"strings"
	"sync/atomic"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/authenticate"
	"github.com/recall-milter/recall-milter/internal/mailmsg"
	"github.com/recall-milter/recall-milter/internal/outlook"
	"github.com/recall-milter/recall-milter/internal/protocol"
	"github.com/recall-milter/recall-milter/internal/retraction"
	"github.com/recall-milter/recall-milter/internal/sanitize"
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
}

// Mail is a message that comes in.
type Mail struct {
	holdstore.Submission
	mailmsg.Message
}

// Gate looks at mail that comes in. Safe for concurrent use.
type Gate struct {
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
}

// Examine says at the end of the header what a message needs.
func (g *Gate) Examine(m *Mail) Needs {
	believed := func(id string) bool { return g.o.Load().Verifier.Vouched(id, m.QueueID) }
	l := Needs{Strip: forged(m.Fields, g.id(m), believed)}
	if !m.Resent() {
		l.Body = body(g.known, &m.Message)
	}
	return l
}

func (g *Gate) id(m *Mail) string {
	if g.o.Load().AuthservID != "" {
		return g.o.Load().AuthservID
	}
	return m.Gateway
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
	if s, ok := protocol.ParseStatus(&m.Message); ok {
		return g.status(ctx, m, s)
	}
	if receipts := protocol.ParseReceipts(&m.Message); len(receipts) > 0 {
		if err := g.retractor.Receipts(ctx, receipts); err != nil {
			g.log.Trouble("a receipt came in, and is not noted", err)
		}
		return Disposition{}
	}
	o := g.Assess(ctx, m)
	if o.Recall.Form == "" {
		return o.Disposition
	}
	g.log.Judged(m.Submission, o.Recall.Form, o.Evidence.From, o.Verdict)
	switch {
	case o.Verdict.Result == policy.InboundFail:
		g.refusedCommand(ctx, m, &o)
	case o.Verdict.Result == policy.InboundPass && o.Rule.Execute:
		g.execute(ctx, m, &o)
	}
	return o.Disposition
}

// command gathers the facts, the cheap ones first: what is wrong in itself costs no DNS, and what is not authentic
// costs no rate of the domain that it claims.
func (g *Gate) command(ctx context.Context, m *Mail, recall Recall) (policy.Command, policy.InboundRule,
	authenticate.Evidence) {
	from, defect := author(m)
	domain := holdstore.DomainOf(from)
	rule := g.o.Load().Rules.For(domain)
	c := policy.Command{From: from, Defect: defect, Domain: domain, NullSender: m.Sender.Address == "", Now: time.Now()}
	e := authenticate.Evidence{SPF: authenticate.None, DMARC: authenticate.None, From: domain}
	c.Local = isLocal(m, domain)
	c.Sent, c.Expires = moment(m, "Date"), moment(m, "Expiry-Date")
	if defect != "" || c.NullSender {
		return c, rule, e
	}
	e = g.evidence(ctx, m, recall.Signed, domain)
	c.Aligned, c.Why = e.Aligned && e.Bare == "", e.Why()
	if e.Temporary {
		c.Temporary = "DNS could not be asked, " + c.Why
	}
	if e.Names && recall.Form != FormRequest {
		recall.Recipients = named(m)
	}
	authentic, err := e.Aligned, error(nil)
	if !authentic && len(recall.Keys) > 0 {
		authentic, err = g.opens(ctx, m, recall, &c)
	}
	if err == nil && authentic {
		err = g.recalls(ctx, m, recall, rule, &c)
	}
	if err != nil {
		c.Aligned, c.Temporary = false, "the store could not be asked"
		g.log.Trouble("a recall command can't be checked, and does nothing", err)
		return c, rule, e
	}
	c.List = g.throughList(m) && (!e.Sealed() || g.shared(m, from))
	// Nobody but the sending gateway knows the key, so with it a mail whose marking fields are unsigned is no other
	// mail made into a recall. Many signers leave Content-Type out.
	if target := c.Target(); e.Aligned && target != nil && target.Unlocked {
		c.Aligned = true
	}
	return c, rule, e
}

func (g *Gate) evidence(ctx context.Context, m *Mail, cover []string, domain string) authenticate.Evidence {
	address, _ := netip.ParseAddr(m.Client.Address)
	return g.o.Load().Verifier.Check(ctx, authenticate.Message{Client: address, HELO: m.Client.HELO,
		MailFrom: m.Sender.Address,
		From:     domain, QueueID: m.QueueID, Header: m.Fields, Body: m.Body, Cover: cover})
}

// opens says whether a Cancel-Key opens the lock of the message meant. It notes nothing, so that a stranger uses up
// nothing of the domain that they claim: no rate, no Message-ID, no text.
func (g *Gate) opens(ctx context.Context, m *Mail, recall Recall, c *policy.Command) (yes bool, err error) {
	found, err := g.found(ctx, m, recall, c.From)
	c.Targets = meant(m, recall, c.From, found)
	target := c.Target()
	return target != nil && target.Unlocked, err
}

// disposition is the verdict as the MTA and those behind it see it.
func (g *Gate) disposition(m *Mail, e authenticate.Evidence, v policy.InboundVerdict, onFail string) Disposition {
	failed := v.Result == policy.InboundFail || v.Result == policy.InboundTemp
	switch {
	case v.Result == policy.InboundTemp && onFail == "reject":
		return Disposition{Command: true, Reply: "451 4.7.1 the recall can't be checked now, try again later"}
	case failed && onFail == "reject":
		return Disposition{Command: true, Reply: "550 5.7.1 recall refused: " + printable(v.Reason)}
	}
	r := Disposition{Command: true, Add: []policy.Field{{Name: "X-Recall-Policy", Value: header(e.From, v)},
		{Name: "Authentication-Results", Value: e.Field(g.id(m), word(v))}}}
	if failed && onFail == "quarantine" {
		r.Quarantine = "recall refused: " + printable(v.Reason)
	}
	return r
}

// word is the result as programs behind us read it: none is no pass.
func word(v policy.InboundVerdict) string {
	if v.Result == policy.InboundPass {
		return "pass"
	}
	return "fail"
}

func header(domain string, v policy.InboundVerdict) string {
	result := v.Result
	if result == policy.InboundTemp {
		result = policy.InboundFail
	}
	all := []string{result, "reason=" + printable(v.Reason), "domain=" + printable(domain)}
	if v.Target != "" {
		all = append(all, "target="+sanitize.Parameter(v.Target, maxLine-len("\ttarget=")))
	}
	if text := strings.Join(all, "; "); len("X-Recall-Policy: "+text) <= maxLine {
		return text
	}
	return strings.Join(all, ";\r\n\t")
}

// maxLine is how many bytes a line of a header may have (RFC 5322 section 2.1.1); more is folded.
const maxLine = 998

// maxShown is how many bytes of what others typed a reply or a field shows.
const maxShown = 400

// printable keeps what others typed from ending a line or a parameter, or from being one.
func printable(text string) string { return sanitize.Parameter(text, maxShown) }
