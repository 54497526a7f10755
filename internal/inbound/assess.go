package inbound

import (
	"context"

	"github.com/recall-milter/recall-milter/internal/authenticate"
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
func (g *Gate) Assess(ctx context.Context, m *Mail) Assessment {
	o := Assessment{Recall: recognise(g.known, &m.Message)}
	if m.Resent() {
		o.Recall = Recall{}
	}
	if o.Recall.Form == "" {
		return o
	}
	o.Facts, o.Rule, o.Evidence = g.command(ctx, m, o.Recall)
	o.Verdict = o.Rule.Judge(o.Facts)
	onFail := o.Rule.OnFail
	if onFail == "reject" && o.Verdict.Result == policy.InboundFail && (g.throughList(m) || g.toList(m)) {
		onFail = "tag" // a list counts a refusal as a bounce of its subscriber
	}
	o.Disposition = g.disposition(m, o.Evidence, o.Verdict, onFail)
	return o
}
