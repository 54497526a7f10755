package inbound

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/authenticate"
	"github.com/recall-milter/recall-milter/internal/protocol/cancel"
	"github.com/recall-milter/recall-milter/policy"
)

const (
	apartTime = 5 * time.Second // for all DNS that is asked to tell messages apart
	maxDomain = 253             // bytes of a name in DNS
)

// way is how a message came in, for tellApart.
func (g *Gate) way(a *arrival) holdstore.Way {
	m := authenticate.Message{MailFrom: a.Sender.Address, From: a.domain, QueueID: a.QueueID, Header: a.Fields}
	w := holdstore.Way{Client: a.Client.Address, Domain: m.SPFDomain(), Aligned: g.o.Load().Verifier.TrustedAligned(m),
		Shared: a.shared}
	if len(w.Domain) > maxDomain {
		w.Domain = ""
	}
	return w
}

// found lists what a command could mean, by the Message-ID that it names, else by sender and subject.
func (g *Gate) found(ctx context.Context, a *arrival, recall Recall) ([]holdstore.Remembered, error) {
	switch {
	case recall.Target != "":
		return g.memory.FindRemembered(ctx, a.from, recall.Target, "", a.to)
	case len(recall.Subjects) > 0:
		return g.memory.FindRemembered(ctx, a.from, "", recall.Subjects[0].Bare(), a.to)
	}
	return nil, nil
}

// meant says of each what the policy wants to know.
func meant(a *arrival, recall Recall, found []holdstore.Remembered) (all []policy.Arrived) {
	to := holdstore.Digests(a.to)
	for _, r := range found {
		t := policy.Arrived{MessageID: r.MessageID, At: r.At, Sent: r.Sent, SameFrom: r.IsFrom(a.from),
			SameTo: r.WentTo(a.to),
			Shared: ofList(r), Unlocked: unlocked(recall.Keys, found, r),
			Fit: policy.Fit{Recipients: policy.FitRecipients(to, r.Recipients)}}
		if recall.Target != "" { // the clock of whoever wrote the message is not that of the gateway which names it
			t.Sent = time.Time{}
		}
		if len(recall.Subjects) > 0 {
			t.Fit.Subject = recall.Subjects[0].Each(holdstore.Digest).Fit(r.Subjects)
		}
		all = append(all, t)
	}
	return all
}

// unlocked says whether one of some keys opens the lock of a message.
func unlocked(keys []cancel.Element, found []holdstore.Remembered, r holdstore.Remembered) bool {
	locks, _ := cancel.Parse(r.Lock)
	return cancel.Opens(keys, locks) && !second(found, r)
}

// ofList says whether a message has come under the address of a mailing list: in every way, since anybody can send it
// again.
func ofList(r holdstore.Remembered) bool {
	return len(r.Ways) > 0 && !slices.ContainsFunc(r.Ways, func(w holdstore.Way) bool { return !w.Shared })
}

// second says whether a message of the same ID came in before, with another lock: anybody who knows the ID can send one
// like it, with a lock to which they have the key.
func second(all []holdstore.Remembered, r holdstore.Remembered) bool {
	return slices.ContainsFunc(all, func(o holdstore.Remembered) bool {
		return holdstore.SameID(o.MessageID, r.MessageID) && o.Lock != r.Lock && !o.At.After(r.At)
	})
}

// tellApart finds out which of several messages that a command could mean are the sender's own: anybody can send one
// with their address and subject. An earlier milter told when it came in, or SPF tells now. It only chooses, and
// authorises nothing: where DNS is silent the newest is meant, as among the sender's own.
func (g *Gate) tellApart(ctx context.Context, c *policy.Command, found []holdstore.Remembered) {
	several := 0
	for _, t := range c.Targets {
		if t.SameFrom && t.SameTo {
			several++
		}
	}
	if several < 2 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, apartTime)
	defer cancel()
	sends := g.o.Load().Verifier.Senders(ctx, c.Domain)
	for n, r := range found {
		t := &c.Targets[n]
		t.Own = t.SameFrom && t.SameTo && slices.ContainsFunc(r.Ways, func(w holdstore.Way) bool {
			client, _ := netip.ParseAddr(w.Client)
			return w.Aligned || sends(client, w.Domain)
		})
	}
}
