package inbound

import (
	"context"
	"errors"
	"slices"

	"github.com/recall-milter/recall-milter/internal/protocol"
	"github.com/recall-milter/recall-milter/internal/retraction"
	"github.com/recall-milter/recall-milter/policy"
)

// execute hands a command that passed over to the retractor. When that fails, the client tries again; that is safe. A
// mailing list has no mailbox: it gets the command with its verdict, which its own program or the members can read.
func (g *Gate) execute(ctx context.Context, m *arrival, o *Assessment) {
	id, target := o.Recall.ID, o.Verdict.Target
	if id == "" {
		id = m.MessageID
	}
	people := slices.DeleteFunc(slices.Clone(m.to), g.isList)
	if len(people) == 0 {
		return
	}
	order := retraction.Order{RequestID: id, CommandID: m.MessageID, MessageID: target, From: m.from,
		Recipients: people, Date: o.Recall.Date, Gateway: m.Gateway}
	for _, t := range o.Facts.Targets {
		if t.MessageID == target && (order.Received.IsZero() || t.At.Before(order.Received)) {
			order.Received = t.At
		}
	}
	done, err := g.retractor.AcceptOrder(ctx, order, o.Recall.Form == FormRequest)
	if err != nil {
		g.log.Trouble("a genuine recall can't be carried out now, and its sender tries again", err)
		o.Disposition = Disposition{Command: true, Reply: "451 4.3.0 the recall can't be carried out now, try again later"}
	}
	o.Disposition.Done = done && err == nil && len(people) == len(m.Recipients)
}

// gatewayUser is who speaks for a gateway (docs/protocol.md): an address that no user of a domain has (RFC 2142).
const gatewayUser = "postmaster"

// status takes what another gateway says of a request of ours. Only one that is authentic, comes from a gateway and not
// from a user, and answers a request to that very domain, counts; a report of some gateway to its own user is ordinary
// mail. What has the ID of a request of ours and does not count is refused (550, or 451 where it can't be checked),
// whatever on_fail says: nobody else waits for it.
func (g *Gate) status(ctx context.Context, m *arrival, s protocol.Status) Disposition {
	if !g.retractor.MayAnswerUs(s) {
		return Disposition{}
	}
	v := policy.InboundVerdict{Result: policy.InboundFail, Reason: m.defect}
	switch {
	case m.defect != "":
	case m.Sender.Address != "":
		v.Reason = "its envelope sender is not <>"
	case m.from != gatewayUser+"@"+m.domain:
		v.Reason = "From is not the " + gatewayUser + " of the domain"
	default:
		v = g.answered(ctx, m, s)
	}
	g.log.Judged(m.Submission, "status", m.domain, v)
	switch v.Result {
	case policy.InboundPass:
		return Disposition{Command: true, Done: true}
	case policy.InboundTemp:
		return Disposition{Command: true, Reply: "451 4.7.1 the recall status can't be checked now, try again later"}
	}
	g.refusedStatus(ctx, m, s, v)
	return Disposition{Command: true, Reply: "550 5.7.1 recall status refused: " + printable(v.Reason)}
}

func (g *Gate) answered(ctx context.Context, m *arrival, s protocol.Status) policy.InboundVerdict {
	e := g.evidence(ctx, m, nil) // the ID of the request, which nobody else knows, binds it
	switch {
	case e.Temporary:
		return policy.InboundVerdict{Result: policy.InboundTemp, Reason: "DNS could not be asked, " + e.Why()}
	case !e.Aligned:
		return policy.InboundVerdict{Result: policy.InboundFail, Reason: "sender not authenticated, " + e.Why()}
	}
	told, cancel := context.WithTimeout(ctx, writeTime)
	defer cancel()
	err := g.retractor.AcceptStatus(told, s, m.from)
	switch {
	case err == nil:
		return policy.InboundVerdict{Result: policy.InboundPass, Reason: "aligned", Target: s.MessageID}
	case errors.Is(err, retraction.ErrUnasked):
		return policy.InboundVerdict{Result: policy.InboundFail, Reason: err.Error()}
	}
	g.log.Trouble("a recall status can't be kept now, and its sender tries again", err)
	return policy.InboundVerdict{Result: policy.InboundTemp, Reason: "the store could not be asked"}
}
