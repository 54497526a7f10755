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
func (g *Gate) refusedCommand(ctx context.Context, a *arrival, o *Assessment) {
	targets := o.Facts.Targets
	if len(targets) == 0 { // a sender who isn't authentic costs no earlier look into the memory
		found, _ := g.found(ctx, a, o.Recall)
		targets = meant(a, o.Recall, found)
	}
	detail, target := o.Verdict.Reason, o.Recall.Target
	if len(targets) > 0 {
		target = targets[0].MessageID
	}
	if target != "" {
		detail = target + ": " + detail
	}
	g.refused(ctx, a, refusal{verb: "request refused", known: len(targets) > 0, detail: detail})
}

// refusedStatus notes a recall status that was refused.
func (g *Gate) refusedStatus(ctx context.Context, a *arrival, s protocol.Status,
	v policy.InboundVerdict) {
	asked, err := g.memory.Request(ctx, s.RequestID)
	g.refused(ctx, a, refusal{verb: "status refused", hold: asked.Hold, known: err == nil, detail: v.Reason})
}

// refusal is what the audit trail says of one.
type refusal struct {
	verb   string
	hold   string // that it is about; empty: none of ours
	known  bool   // it names something of ours
	detail string
}

func (g *Gate) refused(ctx context.Context, a *arrival, r refusal) {
	kind := map[bool]string{true: "known", false: "unknown"}[r.known]
	if !g.audits.allow(kind, time.Now()) {
		return
	}
	by := holdstore.Actor{By: "who says to be <" + printable(a.from) + ">", From: "mail from " + a.Client.Address}
	if err := g.memory.Audit(ctx, r.verb, r.hold, by, printable(r.detail)); err != nil {
		g.log.Trouble("a refusal is not in the audit trail", err)
	}
}
