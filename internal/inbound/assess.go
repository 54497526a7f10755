package inbound

import (
	"context"
	"net/netip"
	"strings"
	"time"

	"github.com/recall-milter/recall-milter/internal/authenticate"
	"github.com/recall-milter/recall-milter/internal/sanitize"
	"github.com/recall-milter/recall-milter/policy"
)

// Assessment is what the gate thinks of a mail, and what that rests on.
type Assessment struct {
	Recall      Recall // no form: it is not a recall command, and the rest is empty
	Evidence    authenticate.Evidence
	Facts       policy.Command
	Rule        policy.InboundRule // of the sender domain
	Verdict     policy.InboundVerdict
	Disposition Disposition
}

// Assess judges the whole of a mail. What the memory notes of it (FirstUse, Count) stays noted.
func (g *Gate) Assess(ctx context.Context, m *Mail) Assessment { return g.assess(ctx, g.read(m)) }

func (g *Gate) assess(ctx context.Context, a *arrival) (o Assessment) {
	if !a.Resent() {
		o.Recall = recognise(g.known, &a.Message)
	}
	if o.Recall.Form == "" {
		return o
	}
	o.Rule = g.o.Load().Rules.For(a.domain)
	o.Facts, o.Evidence = g.facts(ctx, a, o.Recall, o.Rule)
	o.Verdict = o.Rule.Judge(o.Facts)
	onFail := o.Rule.OnFail
	if onFail == "reject" && o.Verdict.Result == policy.InboundFail && (a.passed || g.toList(a.Mail)) {
		onFail = "tag" // a list counts a refusal as a bounce of its subscriber
	}
	o.Disposition = g.disposition(a.Mail, o.Evidence, o.Verdict, onFail)
	return o
}

// facts gathers what the policy judges, the cheap first: what is wrong in itself costs no DNS, and what is not
// authentic costs no rate of the domain that it claims.
func (g *Gate) facts(ctx context.Context, a *arrival, recall Recall, rule policy.InboundRule) (policy.Command,
	authenticate.Evidence) {
	c := policy.Command{From: a.from, Defect: a.defect, Domain: a.domain, NullSender: a.Sender.Address == "",
		Now: time.Now(), Local: a.isLocal(), Sent: moment(a.Mail, "Date"), Expires: moment(a.Mail, "Expiry-Date")}
	if c.Defect != "" || c.NullSender {
		return c, authenticate.Evidence{SPF: authenticate.None, DMARC: authenticate.None, From: a.domain}
	}
	e := g.evidence(ctx, a, recall.Signed)
	c.Aligned, c.Why = e.Aligned && e.Bare == "", e.Why()
	if e.Temporary {
		c.Temporary = "DNS could not be asked, " + c.Why
	}
	if e.Names && recall.Form != FormRequest {
		recall.Recipients = named(a.Mail)
	}
	var err error
	if e.Aligned || len(recall.Keys) > 0 {
		err = g.use(ctx, a, recall, rule, &c, e.Aligned)
	}
	if err != nil {
		c.Aligned, c.Temporary = false, "the store could not be asked"
		g.log.Trouble("a recall command can't be checked, and does nothing", err)
		return c, e
	}
	c.List = a.passed && (!e.Sealed() || a.shared)
	// Only the sending gateway knows the key. So with it nobody has made a recall of another mail, even when the fields
	// that mark a recall are unsigned. Many signers leave Content-Type out.
	if target := c.Target(); e.Aligned && target != nil && target.Unlocked {
		c.Aligned = true
	}
	return c, e
}

func (g *Gate) evidence(ctx context.Context, a *arrival, cover []string) authenticate.Evidence {
	address, _ := netip.ParseAddr(a.Client.Address)
	return g.o.Load().Verifier.Check(ctx, authenticate.Message{Client: address, HELO: a.Client.HELO,
		MailFrom: a.Sender.Address, From: a.domain, QueueID: a.QueueID, Header: a.Fields, Body: a.Body, Cover: cover})
}

// use finds what a command could mean, and uses it up. A command that is not aligned must open the lock of its message
// with a Cancel-Key. Else nothing is noted, so that a stranger uses up nothing of the domain that they claim: no rate,
// no Message-ID, no text.
func (g *Gate) use(ctx context.Context, a *arrival, recall Recall, rule policy.InboundRule, c *policy.Command,
	aligned bool) error {
	found, err := g.found(ctx, a, recall)
	if err != nil {
		return err
	}
	c.Targets = meant(a, recall, found)
	if t := c.Target(); !aligned && (t == nil || !t.Unlocked) {
		return nil
	}
	return g.useOnce(ctx, a, recall, rule, c, found)
}

func (g *Gate) id(m *Mail) string {
	if g.o.Load().AuthservID != "" {
		return g.o.Load().AuthservID
	}
	return m.Gateway
}

// disposition is the verdict as the MTA and those behind it see it. A temperror follows on_fail as well: reject is 451
// then, and with tag or quarantine it is a fail, also in X-Recall-Policy.
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

// word is the result as programs behind us read it: none is not a pass.
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
