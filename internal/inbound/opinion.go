package inbound

import (
	"context"

	"github.com/recall-milter/recall-milter/internal/authenticate"
	"github.com/recall-milter/recall-milter/policy"
)

// Opinion is what the gate thinks of a mail, and what that rests on.
type Opinion struct {
	Sight    Sight // no form: it is not a recall command, and the rest is empty
	Evidence authenticate.Evidence
	Facts    policy.Command
	Rule     policy.InboundRule // of the sender domain
	Verdict  policy.InboundVerdict
	Ruling   Ruling
}

// Opinion judges the whole of a mail. What the memory notes of it (Once, Count) stays noted.
func (g *Gate) Opinion(ctx context.Context, m *Mail) Opinion {
	o := Opinion{Sight: recognise(g.known, &m.Message)}
	if m.Resent() {
		o.Sight = Sight{}
	}
	if o.Sight.Form == "" {
		return o
	}
	o.Facts, o.Rule, o.Evidence = g.command(ctx, m, o.Sight)
	o.Verdict = o.Rule.Judge(o.Facts)
	onFail := o.Rule.OnFail
	if onFail == "reject" && o.Verdict.Result == policy.InboundFail && (g.throughList(m) || g.toList(m)) {
		onFail = "tag" // a list counts a refusal as a bounce of its subscriber
	}
	o.Ruling = g.ruling(m, o.Evidence, o.Verdict, onFail)
	return o
}
