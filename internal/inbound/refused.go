package inbound

import (
	"context"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/protocol"
	"github.com/recall-milter/recall-milter/policy"
)

// What is refused is in the audit trail, within bounds: the trail keeps so many lines, and a flood of refusals would
// push out what people did. What names a message or a request of ours, and what anybody can make up, are counted apart,
// so that the second can't hide the first. Beyond the bounds refusals are in the log only.
const (
	auditMost = 100 // refusals of each kind
	auditPer  = time.Hour
)

// refusedCommand notes a recall command that was refused.
func (g *Gate) refusedCommand(ctx context.Context, m *Mail, o *Assessment) {
	targets := o.Facts.Targets
	if len(targets) == 0 { // who isn't authentic costs no look into the memory before
		found, _ := g.found(ctx, m, o.Recall, o.Facts.From)
		targets = meant(m, o.Recall, o.Facts.From, found)
	}
	detail, target := o.Verdict.Reason, o.Recall.Target
	if len(targets) > 0 {
		target = targets[0].MessageID
	}
	if target != "" {
		detail = target + ": " + detail
	}
	g.refused(ctx, m, refusal{verb: "request refused", from: o.Facts.From, known: len(targets) > 0, detail: detail})
}

// refusedStatus notes a recall status that was refused.
func (g *Gate) refusedStatus(ctx context.Context, m *Mail, s protocol.Status, from string,
	v policy.InboundVerdict) {
	asked, err := g.memory.Request(ctx, s.RequestID)
	g.refused(ctx, m, refusal{verb: "status refused", hold: asked.Hold, from: from, known: err == nil, detail: v.Reason})
}

// refusal is what the audit trail says of one.
type refusal struct {
	verb   string
	hold   string // that it is about; empty: none of ours
	from   string // address in From, which may be forged
	known  bool   // it names something of ours
	detail string
}

func (g *Gate) refused(ctx context.Context, m *Mail, r refusal) {
	kind := map[bool]string{true: "known", false: "unknown"}[r.known]
	if !g.audits.allow(kind, time.Now()) {
		return
	}
	by := holdstore.Actor{By: "who says to be <" + printable(r.from) + ">", From: "mail from " + m.Client.Address}
	if err := g.memory.Audit(ctx, r.verb, r.hold, by, printable(r.detail)); err != nil {
		g.log.Trouble("a refusal is not in the audit trail", err)
	}
}
